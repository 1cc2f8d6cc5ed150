//! `debian/control`: one stanza for the source, one for each package.
use std::path::Path;

use anyhow::{Context, Result};

/// Fields in their order; a value keeps its further lines.
#[derive(Clone, Debug)]
pub struct Stanza(Vec<(String, String)>);

impl Stanza {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match (line.split_once(": "), fields.last_mut()) {
                (_, Some((_, value))) if line.starts_with(' ') => *value += &format!("\n{line}"),
                (Some((name, value)), _) => fields.push((name.into(), value.into())),
                _ => {}
            }
        }
        Self(fields)
    }
}

/// The source and its packages.
pub struct Control {
    source: Stanza,
    pub packages: Vec<Stanza>,
}

/// What only the build knows of a package.
pub struct Facts<'a> {
    pub version: &'a str,
    pub arch: &'a str,
    /// Libraries that its programs are linked with, as a list of dependencies.
    pub libraries: &'a str,
    pub installed_kib: u64,
}

impl Control {
    pub fn read(root: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(root.join("debian/control"))?;
        let mut stanzas = text.split("\n\n").map(Stanza::parse);
        let source = stanzas.next().context("debian/control is empty")?;
        Ok(Self { source, packages: stanzas.collect() })
    }

    /// The `control` of one package.
    pub fn of(&self, package: &Stanza, facts: &Facts<'_>) -> Result<String> {
        let own = |name: &str| package.get(name);
        let either = |name: &str| own(name).or_else(|| self.source.get(name));
        let mut text = String::new();
        let mut field = |name: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                text += &format!("{name}: {}\n", facts.fill(value));
            }
        };
        field("Package", Some(own("Package").context("a package has no name")?));
        field("Source", self.source.get("Source").filter(|name| own("Package") != Some(*name)));
        field("Version", Some(facts.version));
        field("Architecture", Some(facts.arch));
        field("Maintainer", either("Maintainer"));
        field("Installed-Size", Some(&facts.installed_kib.to_string()));
        for name in ["Pre-Depends", "Depends", "Recommends", "Suggests"] {
            field(name, own(name));
        }
        field("Section", either("Section"));
        field("Priority", either("Priority"));
        field("Description", own("Description"));
        Ok(text)
    }
}

impl Facts<'_> {
    fn fill(&self, value: &str) -> String {
        value
            .replace("${shlibs:Depends}", self.libraries)
            .replace("${binary:Version}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::{Control, Facts, Stanza};

    #[test]
    fn a_package_takes_from_the_source_what_it_does_not_say() {
        let source = Stanza::parse("Source: a\nMaintainer: M\nSection: misc");
        let package = Stanza::parse(
            "Package: a-b\nDepends: ${shlibs:Depends}, a (= ${binary:Version})\nDescription: x\n long\n .\n text",
        );
        let control = Control { source, packages: vec![package.clone()] };
        let facts = Facts { version: "1", arch: "arm64", libraries: "libc6", installed_kib: 7 };
        assert_eq!(
            control.of(&package, &facts).unwrap(),
            "Package: a-b\nSource: a\nVersion: 1\nArchitecture: arm64\nMaintainer: M\nInstalled-Size: 7\n\
             Depends: libc6, a (= 1)\nSection: misc\nDescription: x\n long\n .\n text\n"
        );
    }
}
