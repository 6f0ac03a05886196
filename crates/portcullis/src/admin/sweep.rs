//! `portcullis admin sweep`: takes away file contents that neither a file nor an upload in progress names.

use std::io::Write;

use portcullis_index::app::App;
use portcullis_index::blobs;

use crate::Outcome;

pub(crate) async fn run(app: &App) -> anyhow::Result<Outcome> {
    let swept = blobs::sweep(&app.store, &app.blobs, app.now()).await?;
    writeln!(
        std::io::stdout(),
        "swept: {} contents, {} unfinished uploads",
        swept.contents,
        swept.unfinished
    )?;
    Ok(Outcome::Done)
}
