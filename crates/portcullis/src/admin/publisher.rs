//! `portcullis admin publisher`: registers Trusted Publishers, also pending ones that will create their project.

use std::io::Write;

use anyhow::{Context, anyhow};
use portcullis_index::account;
use portcullis_index::app::App;
use portcullis_index::project;
use portcullis_index::publisher::{self, Form};

use crate::Outcome;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Let a project trust a CI identity
    #[command(
        after_help = "Examples:\n  portcullis admin publisher add demo github owner=example repository=demo workflow=release.yml\n  \
                            portcullis admin publisher add new-name github owner=example repository=demo workflow=release.yml --pending --account alice\n\
                            Keys of github: owner owner_id repository repository_id workflow environment issuer refs events runner_environment.\n\
                            Ids that are not given are pinned at the first mint."
    )]
    Add {
        /// The project
        project: String,
        /// The provider, for example github
        provider: String,
        /// The provider's fields
        #[arg(value_name = "KEY=VALUE")]
        fields: Vec<String>,
        /// The project does not exist yet: the publisher's first job creates it
        #[arg(long, requires = "account")]
        pending: bool,
        /// Who will own the project (with --pending)
        #[arg(long, value_name = "NAME", requires = "pending")]
        account: Option<String>,
    },
}

pub(crate) async fn run(app: &App, command: &Command) -> anyhow::Result<Outcome> {
    let Command::Add { project, provider, fields, account, .. } = command;
    let fields = fields.iter().map(|field| parse_field(field)).collect::<anyhow::Result<Vec<_>>>()?;
    let form = Form::new(provider, fields);
    let doing = || format!("registering a publisher for {project}");
    let id = match account {
        Some(name) => {
            let account = account::by_name(app, name).await?;
            publisher::add_pending_by_operator(app, &account, project, &form)
                .await
                .with_context(doing)?
                .to_string()
        }
        None => {
            let found = project::by_name(app, project).await?.ok_or_else(|| {
                anyhow!("there is no project {project:?}; a publisher that will create it takes --pending --account NAME")
            })?;
            publisher::add_by_operator(app, &found, &form).await.with_context(doing)?.to_string()
        }
    };
    writeln!(std::io::stdout(), "{id}")?;
    Ok(Outcome::Done)
}

fn parse_field(text: &str) -> anyhow::Result<(String, String)> {
    let (key, value) = text.split_once('=').with_context(|| format!("{text:?} is no KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}
