//! The certificate that the listener shows: the operator's, or one of an authority of our own for trying out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// What goes wrong with certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, written or understood.
    #[error("the certificate file {path} can't be used: {problem}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Certificate and key do not fit each other.
    #[error("the certificate and its key can't be used together: {0}")]
    Pair(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
}

fn failed(path: &Path, problem: impl std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), problem: problem.to_string() }
}

/// An acceptor with the chain and key of two PEM files.
///
/// # Errors
/// Where a file can't be used or the two do not fit.
pub fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(cert, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error))?;
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The files of a self-signed set-up, made where they are missing or for another host. Clients are given `ca.pem`; the
/// authority's key is not kept, so that nothing else can ever be signed with it.
///
/// # Errors
/// Where a file can't be written.
pub fn self_signed(folder: &Path, host: &str) -> Result<(PathBuf, PathBuf), TlsError> {
    let (leaf, key, for_host) = (folder.join("leaf.pem"), folder.join("leaf.key"), folder.join("host"));
    if std::fs::read_to_string(&for_host).is_ok_and(|known| known == host) && leaf.exists() && key.exists() {
        return Ok((leaf, key));
    }
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "Portcullis, for trying out");
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let leaf_key = KeyPair::generate()?;
    let mut names =
        vec![host.to_owned(), String::from("localhost"), String::from("127.0.0.1"), String::from("::1")];
    names.dedup();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, host);
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_certificate = params.signed_by(&leaf_key, &issuer)?;

    write_private(&key, leaf_key.serialize_pem().as_bytes())?;
    for (path, content) in [
        (&folder.join("ca.pem"), authority_certificate.pem()),
        (&leaf, leaf_certificate.pem()),
        (&for_host, host.to_owned()),
    ] {
        std::fs::write(path, content).map_err(|error| failed(path, error))?;
    }
    Ok((leaf, key))
}

fn write_private(path: &Path, content: &[u8]) -> Result<(), TlsError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(path);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(|error| failed(path, error))
}
