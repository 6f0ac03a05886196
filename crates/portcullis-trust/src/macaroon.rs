//! The bytes of a macaroon: reading format v1 and v2, writing v2, and the HMAC chain over its caveats.
//!
//! The formats are libmacaroons' (<https://github.com/rescrv/libmacaroons/blob/master/doc/format.txt>), the chain is
//! byte-identical to pymacaroons', which PyPI uses. This module knows bytes only; what a caveat means stands in
//! [`crate::caveat`].

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::secret::TokenKey;

/// The longest field (location, identifier, caveat) that is read, in bytes.
pub const FIELD_BYTES_MAX: usize = 64 * 1024;
/// The most caveats a presented macaroon may carry.
pub const CAVEATS_MAX: usize = 256;

const SIGNATURE_BYTES: usize = 32;
/// The constant that libmacaroons derives every root key with.
const KEY_GENERATOR: &[u8] = b"macaroons-key-generator";

const V2_VERSION: u8 = 2;
const V2_END: u64 = 0;
const V2_LOCATION: u64 = 1;
const V2_IDENTIFIER: u64 = 2;
const V2_VERIFICATION_ID: u64 = 4;
const V2_SIGNATURE: u64 = 6;

/// A macaroon as it was presented. Nothing about it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macaroon {
    /// A hint where the macaroon is for. Not covered by the signature, so nothing may depend on it.
    pub location: Vec<u8>,
    /// Names the key that signed it.
    pub identifier: Vec<u8>,
    /// The restrictions, in the order in which the chain covers them.
    pub caveats: Vec<CaveatBytes>,
    /// The end of the HMAC chain.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// One caveat as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaveatBytes {
    /// What the caveat says; for ours, JSON text.
    pub content: Vec<u8>,
    /// Present on a third-party caveat, which this index can never satisfy: it issues no discharges.
    pub verification_id: Option<Vec<u8>>,
}

/// Why bytes are not a macaroon. People read one text for all of them; the variants are for tests and operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MacaroonError {
    /// Neither a v2 version byte nor the hex digit that begins a v1 packet.
    #[error("not a macaroon of format v1 or v2")]
    UnknownFormat,
    /// The bytes end inside a field or a section.
    #[error("the macaroon is cut off")]
    Truncated,
    /// A field is longer than [`FIELD_BYTES_MAX`].
    #[error("a field is longer than {FIELD_BYTES_MAX} bytes")]
    FieldTooLong,
    /// A field stands where it may not, is missing or appears twice.
    #[error("the macaroon's fields are not in their order")]
    FieldOrder,
    /// More than [`CAVEATS_MAX`] caveats.
    #[error("more than {CAVEATS_MAX} caveats")]
    TooManyCaveats,
    /// The signature does not have 32 bytes.
    #[error("the signature does not have {SIGNATURE_BYTES} bytes")]
    SignatureLength,
    /// Something follows the signature.
    #[error("there are bytes after the signature")]
    TrailingBytes,
}

impl Macaroon {
    /// A macaroon of format v2 with first-party caveats, signed with `key`.
    pub fn issue(key: &TokenKey, location: &str, identifier: &str, caveats: &[String]) -> Macaroon {
        let mut macaroon = Macaroon {
            location: location.as_bytes().to_vec(),
            identifier: identifier.as_bytes().to_vec(),
            caveats: caveats
                .iter()
                .map(|text| CaveatBytes { content: text.as_bytes().to_vec(), verification_id: None })
                .collect(),
            signature: [0; SIGNATURE_BYTES],
        };
        macaroon.signature = macaroon.chain(key);
        macaroon
    }

    /// Adds a restriction, as any holder can without the key. The result can never do more than the original.
    pub fn attenuate(&mut self, caveat: &[u8]) {
        self.signature = hmac(&self.signature, &[caveat]);
        self.caveats.push(CaveatBytes { content: caveat.to_vec(), verification_id: None });
    }

    /// Whether the signature is the end of the chain that `key` makes over exactly these caveats in this order.
    /// Compared in constant time.
    pub fn chain_holds(&self, key: &TokenKey) -> bool {
        self.chain(key).ct_eq(&self.signature).into()
    }

    fn chain(&self, key: &TokenKey) -> [u8; SIGNATURE_BYTES] {
        let root = hmac(KEY_GENERATOR, &[key.expose()]);
        let mut signature = hmac(&root, &[&self.identifier]);
        for caveat in &self.caveats {
            signature = match &caveat.verification_id {
                None => hmac(&signature, &[&caveat.content]),
                Some(id) => {
                    let of_id = hmac(&signature, &[id]);
                    let of_content = hmac(&signature, &[&caveat.content]);
                    hmac(&signature, &[&of_id, &of_content])
                }
            };
        }
        signature
    }

    /// Reads format v2 (version byte 2) or v1 (text packets, which begin with a hex digit).
    ///
    /// # Errors
    /// [`MacaroonError`] names the rule that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
        match bytes.split_first() {
            Some((&V2_VERSION, rest)) => parse_v2(rest),
            Some((first, _)) if first.is_ascii_hexdigit() => parse_v1(bytes),
            _ => Err(MacaroonError::UnknownFormat),
        }
    }

    /// The binary form v2.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![V2_VERSION];
        write_field(&mut out, V2_LOCATION, &self.location);
        write_field(&mut out, V2_IDENTIFIER, &self.identifier);
        write_varint(&mut out, V2_END);
        for caveat in &self.caveats {
            write_field(&mut out, V2_IDENTIFIER, &caveat.content);
            if let Some(id) = &caveat.verification_id {
                write_field(&mut out, V2_VERIFICATION_ID, id);
            }
            write_varint(&mut out, V2_END);
        }
        write_varint(&mut out, V2_END);
        write_field(&mut out, V2_SIGNATURE, &self.signature);
        out
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; SIGNATURE_BYTES] {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes a key of any length; the error type has no value for it"
    )]
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn write_field(out: &mut Vec<u8>, kind: u64, content: &[u8]) {
    write_varint(out, kind);
    write_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Takes bytes off the front; never reads past the end.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MacaroonError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(MacaroonError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, MacaroonError> {
        let mut value = 0u64;
        // Five groups of seven bits hold every length and kind that can be accepted; a longer one is too long anyway.
        for shift in [0, 7, 14, 21, 28] {
            let (&byte, rest) = self.rest.split_first().ok_or(MacaroonError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(MacaroonError::FieldTooLong)
    }

    fn content(&mut self) -> Result<&'a [u8], MacaroonError> {
        let length = usize::try_from(self.varint()?).map_err(|_| MacaroonError::FieldTooLong)?;
        if length > FIELD_BYTES_MAX {
            return Err(MacaroonError::FieldTooLong);
        }
        self.take(length)
    }

    /// The fields of one section up to its end, in strictly increasing order of their kinds.
    fn section(&mut self) -> Result<Vec<(u64, &'a [u8])>, MacaroonError> {
        let mut fields: Vec<(u64, &'a [u8])> = Vec::new();
        loop {
            let kind = self.varint()?;
            if kind == V2_END {
                return Ok(fields);
            }
            if fields.last().is_some_and(|(previous, _)| *previous >= kind) {
                return Err(MacaroonError::FieldOrder);
            }
            fields.push((kind, self.content()?));
        }
    }
}

fn parse_v2(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
    let mut reader = Reader { rest: bytes };
    let (location, identifier) = match reader.section()?.as_slice() {
        [(V2_LOCATION, location), (V2_IDENTIFIER, identifier)] => (location.to_vec(), identifier.to_vec()),
        [(V2_IDENTIFIER, identifier)] => (Vec::new(), identifier.to_vec()),
        _ => return Err(MacaroonError::FieldOrder),
    };
    let mut caveats = Vec::new();
    loop {
        let caveat = match reader.section()?.as_slice() {
            [] => break,
            [(V2_IDENTIFIER, content)] => CaveatBytes { content: content.to_vec(), verification_id: None },
            [(V2_IDENTIFIER, content), (V2_VERIFICATION_ID, id)]
            | [(V2_LOCATION, _), (V2_IDENTIFIER, content), (V2_VERIFICATION_ID, id)] => {
                CaveatBytes { content: content.to_vec(), verification_id: Some(id.to_vec()) }
            }
            _ => return Err(MacaroonError::FieldOrder),
        };
        if caveats.len() == CAVEATS_MAX {
            return Err(MacaroonError::TooManyCaveats);
        }
        caveats.push(caveat);
    }
    if reader.varint()? != V2_SIGNATURE {
        return Err(MacaroonError::FieldOrder);
    }
    let signature = reader.content()?.try_into().map_err(|_| MacaroonError::SignatureLength)?;
    if !reader.rest.is_empty() {
        return Err(MacaroonError::TrailingBytes);
    }
    Ok(Macaroon { location, identifier, caveats, signature })
}

/// One v1 packet: four hex digits that count the whole packet, a key, a space, a value, a newline.
fn packet<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), MacaroonError> {
    let digits = reader.take(4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(MacaroonError::FieldOrder);
    }
    let length = str::from_utf8(digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or(MacaroonError::FieldOrder)?;
    let body = reader.take(length.checked_sub(4).ok_or(MacaroonError::FieldOrder)?)?;
    let line = body.strip_suffix(b"\n").ok_or(MacaroonError::FieldOrder)?;
    let space = line.iter().position(|byte| *byte == b' ').ok_or(MacaroonError::FieldOrder)?;
    let (key, value) = line.split_at(space);
    Ok((key, value.split_first().map_or(&[][..], |(_, value)| value)))
}

fn parse_v1(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
    let mut reader = Reader { rest: bytes };
    let (b"location", location) = packet(&mut reader)? else { return Err(MacaroonError::FieldOrder) };
    let (b"identifier", identifier) = packet(&mut reader)? else { return Err(MacaroonError::FieldOrder) };
    let mut caveats: Vec<CaveatBytes> = Vec::new();
    // `vid` and `cl` may each follow a `cid` once, in this order.
    let mut last_key: &[u8] = b"identifier";
    let signature = loop {
        let (key, value) = packet(&mut reader)?;
        match (key, last_key) {
            (b"cid", _) => {
                if caveats.len() == CAVEATS_MAX {
                    return Err(MacaroonError::TooManyCaveats);
                }
                caveats.push(CaveatBytes { content: value.to_vec(), verification_id: None });
            }
            (b"vid", b"cid") => {
                if let Some(caveat) = caveats.last_mut() {
                    caveat.verification_id = Some(value.to_vec());
                }
            }
            (b"cl", b"vid") => {}
            (b"signature", _) => break value,
            _ => return Err(MacaroonError::FieldOrder),
        }
        last_key = key;
    };
    if !reader.rest.is_empty() {
        return Err(MacaroonError::TrailingBytes);
    }
    Ok(Macaroon {
        location: location.to_vec(),
        identifier: identifier.to_vec(),
        caveats,
        signature: signature.try_into().map_err(|_| MacaroonError::SignatureLength)?,
    })
}
