//! File names: which are allowed, and what they must say (checks 22 to 24 and the name rules of wheels and sdists).

use pep440_rs::Version;

use crate::project::{ProjectName, normalise};
use crate::store::files::PackageType;
use crate::upload::UploadError;

/// Longest file name, in bytes.
pub const LENGTH_LIMIT: usize = 255;

/// A file name that fits its project, version and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

impl std::fmt::Display for FileName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FileName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks a name against what the form says of the file.
    ///
    /// # Errors
    /// PyPI's sentence for what is wrong.
    pub fn parse(
        text: &str,
        name: &ProjectName,
        version: &Version,
        packagetype: PackageType,
    ) -> Result<Self, UploadError> {
        check_characters(text)?;
        check_extension(text, packagetype)?;
        if text.len() > LENGTH_LIMIT {
            return Err(UploadError::invalid(format!(
                "Filename is too long: '{}'",
                crate::visible::visible(text, 300)
            )));
        }
        match packagetype {
            PackageType::Sdist => check_sdist(text, name, version)?,
            PackageType::Wheel => check_wheel(text, name, version)?,
        }
        Ok(Self(text.to_owned()))
    }
}

fn check_characters(text: &str) -> Result<(), UploadError> {
    if text.chars().any(|character| character.is_ascii_control()) {
        return Err(UploadError::invalid(
            "Cannot upload a file with non-printable characters (ordinals 0-31) or the DEL character (ordinal 127) in the name.",
        ));
    }
    if text.contains(['/', '\\']) {
        return Err(UploadError::invalid("Cannot upload a file with '/' or '\\' in the name."));
    }
    Ok(())
}

fn check_extension(text: &str, packagetype: PackageType) -> Result<(), UploadError> {
    let extension = [".tar.gz", ".zip", ".whl"].into_iter().find(|extension| text.ends_with(extension));
    let Some(extension) = extension else {
        return Err(UploadError::invalid(
            "Invalid file extension: Use .tar.gz, .whl or .zip extension. See https://www.python.org/dev/peps/pep-0527 \
             and https://peps.python.org/pep-0715/ for more information",
        ));
    };
    let fits = match packagetype {
        PackageType::Wheel => extension == ".whl",
        PackageType::Sdist => extension != ".whl",
    };
    if fits {
        return Ok(());
    }
    Err(UploadError::invalid(format!(
        "Invalid file extension: Extension {extension} is invalid for filetype {packagetype}. See \
         https://www.python.org/dev/peps/pep-0527 for more information."
    )))
}

fn start_with(name: &ProjectName) -> UploadError {
    UploadError::invalid(format!("Start filename for '{name}' with '{}'.", name.in_file_names()))
}

fn check_sdist(text: &str, name: &ProjectName, version: &Version) -> Result<(), UploadError> {
    let stem = text.strip_suffix(".tar.gz").or_else(|| text.strip_suffix(".zip")).unwrap_or(text);
    let parts = stem.rsplit_once('-').filter(|(_, version)| version.parse::<Version>().is_ok());
    let Some((file_name, _)) = parts else {
        return Err(UploadError::invalid(format!(
            "Invalid source distribution filename: {}",
            crate::visible::visible(text, 300)
        )));
    };
    if normalise(file_name) != name.normalised() {
        return Err(start_with(name));
    }
    let expected = format!("{}-{version}.tar.gz", name.in_file_names());
    if text != expected {
        return Err(UploadError::invalid(format!(
            "Filename '{}' is invalid, should be '{expected}'.",
            crate::visible::visible(text, 300)
        )));
    }
    Ok(())
}

fn check_wheel(text: &str, name: &ProjectName, version: &Version) -> Result<(), UploadError> {
    let shown = || crate::visible::visible(text, 300);
    let stem = text.strip_suffix(".whl").unwrap_or(text);
    let parts: Vec<&str> = stem.split('-').collect();
    let (file_name, file_version, build, platform) = match parts.as_slice() {
        [name, version, _, _, platform] => (*name, *version, None, *platform),
        [name, version, build, _, _, platform] => (*name, *version, Some(*build), *platform),
        _ => {
            return Err(UploadError::invalid(format!(
                "Invalid wheel filename (wrong number of parts): '{}'",
                crate::visible::visible(stem, 300)
            )));
        }
    };
    if build.is_some_and(|build| !build.starts_with(|character: char| character.is_ascii_digit())) {
        return Err(UploadError::invalid(format!(
            "Invalid build number: {} in '{}'",
            build.unwrap_or_default(),
            shown()
        )));
    }
    let parsed = file_version.parse::<Version>().map_err(|_| {
        UploadError::invalid(format!("Invalid wheel filename (invalid version): '{}'", shown()))
    })?;
    for tag in platform.split('.') {
        if !is_allowed_platform(tag) {
            return Err(UploadError::invalid(format!(
                "Binary wheel '{}' has an unsupported platform tag '{}'.",
                shown(),
                crate::visible::visible(tag, 100)
            )));
        }
    }
    if normalise(file_name) != name.normalised() {
        return Err(start_with(name));
    }
    if file_name != name.in_file_names() {
        return Err(UploadError::invalid(format!(
            "Filename '{}' should contain the normalized project name '{}', not '{}'.",
            shown(),
            name.in_file_names(),
            crate::visible::visible(file_name, 200)
        )));
    }
    if parsed != *version {
        return Err(UploadError::invalid(format!(
            "Version in filename should be '{version}' not '{parsed}'."
        )));
    }
    Ok(())
}

const PLAIN_PLATFORMS: &[&str] = &[
    "any",
    "win32",
    "win_amd64",
    "win_arm64",
    "win_ia64",
    "manylinux1_x86_64",
    "manylinux1_i686",
    "manylinux2010_x86_64",
    "manylinux2010_i686",
    "manylinux2014_x86_64",
    "manylinux2014_i686",
    "manylinux2014_aarch64",
    "manylinux2014_armv7l",
    "manylinux2014_ppc64",
    "manylinux2014_ppc64le",
    "manylinux2014_s390x",
    "linux_armv6l",
    "linux_armv7l",
];

/// PyPI's list of platform tags; a plain `linux_x86_64` promises nothing about the system and is refused.
fn is_allowed_platform(tag: &str) -> bool {
    if PLAIN_PLATFORMS.contains(&tag) {
        return true;
    }
    let linux = ["x86_64", "i686", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64"];
    let mac = [
        "ppc",
        "ppc64",
        "i386",
        "x86_64",
        "arm64",
        "intel",
        "fat",
        "fat3",
        "fat64",
        "universal",
        "universal2",
    ];
    let Some((family, rest)) = tag.split_once('_') else { return false };
    match family {
        "manylinux" => two_numbers(rest).is_some_and(|(_, _, arch)| arch == "ppc64" || linux.contains(&arch)),
        "musllinux" => two_numbers(rest).is_some_and(|(_, _, arch)| linux.contains(&arch)),
        "macosx" => two_numbers(rest).is_some_and(|(major, minor, arch)| {
            mac.contains(&arch) && (major == 10 || (matches!(major, 11..=15 | 26) && minor == 0))
        }),
        "ios" => two_numbers(rest).is_some_and(|(_, _, arch)| {
            ["arm64_iphoneos", "arm64_iphonesimulator", "x86_64_iphoneos", "x86_64_iphonesimulator"]
                .contains(&arch)
        }),
        "android" => rest.split_once('_').is_some_and(|(api, arch)| {
            api.parse::<u32>().is_ok() && ["armeabi_v7a", "arm64_v8a", "x86", "x86_64"].contains(&arch)
        }),
        "pyemscripten" => two_numbers(rest).is_some_and(|(_, _, arch)| arch == "wasm32"),
        _ => false,
    }
}

fn two_numbers(text: &str) -> Option<(u32, u32, &str)> {
    let (first, rest) = text.split_once('_')?;
    let (second, rest) = rest.split_once('_')?;
    Some((first.parse().ok()?, second.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, packagetype: PackageType) -> Result<FileName, String> {
        let (name, version) = ("Demo.Pkg".parse().unwrap(), "1.0".parse().unwrap());
        FileName::parse(text, &name, &version, packagetype).map_err(|error| error.to_string())
    }

    #[test]
    fn names_that_fit_are_taken() {
        for name in [
            "demo_pkg-1.0-py3-none-any.whl",
            "demo_pkg-1.0-1-cp311-cp311-manylinux_2_17_x86_64.whl",
            "demo_pkg-1.0.0-py3-none-macosx_11_0_arm64.whl",
        ] {
            assert!(parse(name, PackageType::Wheel).is_ok(), "{name}");
        }
        assert!(parse("demo_pkg-1.0.tar.gz", PackageType::Sdist).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_said_in_pypis_words() {
        for (name, expected) in [
            ("demo_pkg-1.0-py3-none-any.egg", "Invalid file extension: Use .tar.gz, .whl or .zip extension."),
            ("demo_pkg-1.0.tar.gz", "Extension .tar.gz is invalid for filetype bdist_wheel."),
            ("a/demo_pkg-1.0-py3-none-any.whl", "Cannot upload a file with '/' or '\\' in the name."),
            ("demo_pkg-1.0-py3-none-any\u{7f}.whl", "non-printable characters"),
            ("demo_pkg-1.0-any.whl", "wrong number of parts"),
            ("demo_pkg-1.0-py3-none-linux_x86_64.whl", "unsupported platform tag 'linux_x86_64'"),
            ("demo_pkg-1.0-py3-none-macosx_16_0_arm64.whl", "unsupported platform tag"),
            ("other-1.0-py3-none-any.whl", "Start filename for 'Demo.Pkg' with 'demo_pkg'."),
            (
                "Demo_Pkg-1.0-py3-none-any.whl",
                "should contain the normalized project name 'demo_pkg', not 'Demo_Pkg'.",
            ),
            ("demo_pkg-1.1-py3-none-any.whl", "Version in filename should be '1.0' not '1.1'."),
            ("demo_pkg-1.0-x1-py3-none-any.whl", "Invalid build number"),
        ] {
            let error = parse(name, PackageType::Wheel).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
        for (name, expected) in [
            ("demo_pkg-1.0.zip", "Filename 'demo_pkg-1.0.zip' is invalid, should be 'demo_pkg-1.0.tar.gz'."),
            ("Demo.Pkg-1.0.tar.gz", "is invalid, should be 'demo_pkg-1.0.tar.gz'."),
            ("other-1.0.tar.gz", "Start filename for 'Demo.Pkg' with 'demo_pkg'."),
            ("demo_pkg.tar.gz", "Invalid source distribution filename"),
        ] {
            let error = parse(name, PackageType::Sdist).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }

    #[test]
    fn a_name_may_be_so_long_and_no_longer() {
        let fill = |length: usize| {
            let name = format!("demo_pkg-1.0-{}-none-any.whl", "p".repeat(length));
            (name.len(), parse(&name, PackageType::Wheel))
        };
        let (length, result) = fill(LENGTH_LIMIT - 26);
        assert_eq!((length, result.is_ok()), (LENGTH_LIMIT, true));
        assert!(fill(LENGTH_LIMIT - 25).1.unwrap_err().contains("too long"));
    }
}
