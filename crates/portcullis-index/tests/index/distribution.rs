//! Distributions and forms for tests of the upload: made in memory, small, ours.

use async_zip::base::write::ZipFileWriter;
use async_zip::{Compression, ZipEntryBuilder};
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use sha2::{Digest, Sha256};

/// A wheel of `demo_pkg` at a version; `note` makes its bytes differ.
pub(crate) async fn wheel(version: &str, note: &str) -> Vec<u8> {
    wheel_with(version, note, &[]).await
}

/// A wheel with further lines in its METADATA.
pub(crate) async fn wheel_with(version: &str, note: &str, lines: &[&str]) -> Vec<u8> {
    let folder = format!("demo_pkg-{version}.dist-info");
    let mut metadata = format!("Metadata-Version: 2.3\nName: Demo.Pkg\nVersion: {version}\n");
    for line in lines {
        metadata += &format!("{line}\n");
    }
    zip(&[
        ("demo_pkg/__init__.py", note),
        (&format!("{folder}/METADATA"), &metadata),
        (&format!("{folder}/WHEEL"), "Wheel-Version: 1.0\n"),
        (&format!("{folder}/RECORD"), ""),
    ])
    .await
}

/// A zip with these members.
pub(crate) async fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ZipFileWriter::new(&mut bytes);
    for (name, content) in members {
        let entry = ZipEntryBuilder::new((*name).into(), Compression::Deflate);
        writer.write_entry_whole(entry, content.as_bytes()).await.unwrap();
    }
    writer.close().await.unwrap();
    bytes
}

/// The name of a wheel of `demo_pkg`.
pub(crate) fn wheel_name(version: &str) -> String {
    format!("demo_pkg-{version}-py3-none-any.whl")
}

pub(crate) const BOUNDARY: &str = "----portcullis-test";

/// An upload form before it is sent.
pub(crate) struct Upload {
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) filename: String,
    pub(crate) content: Vec<u8>,
}

impl Upload {
    /// The form that a client sends for a wheel of `Demo.Pkg`.
    pub(crate) fn of_wheel(version: &str, content: Vec<u8>) -> Self {
        let digest = hex::encode(Sha256::digest(&content));
        let fields = [
            (":action", "file_upload"),
            ("protocol_version", "1"),
            ("metadata_version", "2.3"),
            ("name", "Demo.Pkg"),
            ("version", version),
            ("filetype", "bdist_wheel"),
            ("pyversion", "py3"),
            ("sha256_digest", &digest),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { fields, filename: wheel_name(version), content }
    }

    /// The same with one field set to another value; an empty one is left out.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        if !value.is_empty() {
            self.fields.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same under another file name.
    pub(crate) fn named(mut self, filename: &str) -> Self {
        self.filename = filename.to_owned();
        self
    }

    /// The body of the request.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in &self.fields {
            body.extend_from_slice(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                    .as_bytes(),
            );
        }
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            self.filename
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&self.content);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        body
    }

    /// The request with a token.
    pub(crate) fn request(&self, token: &str) -> Request<Body> {
        request(token, Body::from(self.body()))
    }
}

/// A request to `/legacy/` with a token and this body.
pub(crate) fn request(token: &str, body: Body) -> Request<Body> {
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("__token__:{token}"));
    Request::post("/legacy/")
        .header("authorization", format!("Basic {credentials}"))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(body)
        .unwrap()
}
