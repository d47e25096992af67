//! `kvbench new`: a scenario to start from, commented, sound as it is. It overwrites nothing unless told to.

use super::{Exit, Terminal, table::columns};
use crate::report::words::plain;
use clap::Args;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A scenario that ships within the program.
struct Template {
    name: &'static str,
    /// What it asks, for the list.
    asks: &'static str,
    text: &'static str,
}

/// The first is taken where none is named.
const TEMPLATES: [Template; 8] = [
    Template {
        name: "put",
        asks: "does the optimised write path beat the baseline, and which lever earns it",
        text: include_str!("put.toml"),
    },
    Template {
        name: "minimal",
        asks: "the least that a scenario has to say",
        text: include_str!("minimal.toml"),
    },
    Template {
        name: "mixed",
        asks: "what reads, ranges and transactions gain beside writes",
        text: include_str!("mixed.toml"),
    },
    Template {
        name: "open",
        asks: "what clients wait for at a rate that both arms bear",
        text: include_str!("open.toml"),
    },
    Template {
        name: "store",
        asks: "what the lock around the store costs, with no log in the way",
        text: include_str!("store.toml"),
    },
    Template {
        name: "rpc",
        asks: "what of the gain survives gRPC and three members",
        text: include_str!("rpc.toml"),
    },
    Template {
        name: "etcd",
        asks: "how the server stands beside etcd, under the same load",
        text: include_str!("etcd.toml"),
    },
    Template {
        name: "gate",
        asks: "is a change no worse, for a pipeline that fails if it is",
        text: include_str!("gate.toml"),
    },
];

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench new                          put.toml, in this folder
  kvbench new mixed                    the template mixed, as mixed.toml
  kvbench new hot_keys --from mixed    the same under another name
  kvbench new gate --out ci/gate.toml
  kvbench new store --out -            on standard output")]
pub(super) struct NewArgs {
    /// A template, or the name of a scenario of one's own [default: put]
    #[arg(value_name = "NAME|TEMPLATE")]
    name: Option<String>,
    /// The template to start from, if NAME is not one
    #[arg(long, value_name = "TEMPLATE")]
    from: Option<String>,
    /// Where to write it, `-` for standard output [default: NAME.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite a file that is there
    #[arg(long)]
    force: bool,
    /// List the templates, write nothing
    #[arg(long)]
    list: bool,
}

pub(super) fn new(args: &NewArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    if args.list {
        let row = |template: &Template| vec![template.name.to_owned(), template.asks.to_owned()];
        columns(terminal.out, &TEMPLATES.iter().map(row).collect::<Vec<_>>())?;
        return Ok(Exit::Met);
    }
    match write(args, terminal)? {
        Ok(()) => Ok(Exit::Met),
        Err(wrong) => {
            writeln!(terminal.err, "error: {wrong}")?;
            Ok(Exit::Usage)
        }
    }
}

/// Writes the scenario; or what is wrong with the command line.
fn write(args: &NewArgs, terminal: &mut Terminal<'_>) -> io::Result<Result<(), String>> {
    let (template, name) = match chosen(args.name.as_deref(), args.from.as_deref()) {
        Ok(chosen) => chosen,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let text = renamed(template, name);
    let file = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
    if file == Path::new("-") {
        terminal.out.write_all(text.as_bytes())?;
        return Ok(Ok(()));
    }
    let shown = plain(&file.display().to_string());
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(args.force)
        .create_new(!args.force)
        .open(&file)
        .and_then(|mut made| made.write_all(text.as_bytes()));
    match made {
        Ok(()) => {
            writeln!(terminal.out, "{shown}: from template {}", template.name)?;
            writeln!(terminal.out, "  kvbench check {shown}    kvbench run --quick {shown}")?;
            Ok(Ok(()))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let hint = "name another with --out, or overwrite it with --force";
            Ok(Err(format!("{shown} is there already\n  hint: {hint}")))
        }
        Err(error) => Ok(Err(format!(
            "{shown} cannot be written: {error}\n  hint: name another place with --out"
        ))),
    }
}

/// The template, and the name of the scenario: a template's own where nothing else is said.
fn chosen<'a>(
    name: Option<&'a str>,
    from: Option<&str>,
) -> Result<(&'static Template, &'a str), String> {
    let find = |name: &str| TEMPLATES.iter().find(|template| template.name == name);
    let template = match (from, name) {
        (Some(from), _) => find(from).ok_or_else(|| {
            let known: Vec<_> = TEMPLATES.iter().map(|template| template.name).collect();
            let known = known.join(", ");
            format!("there is no template \"{}\"\n  hint: known are {known}", plain(from))
        })?,
        (None, name) => name.and_then(find).unwrap_or(&TEMPLATES[0]),
    };
    let name = name.unwrap_or(template.name);
    if !is_name(name) {
        return Err(format!(
            "\"{}\" is no name for a scenario\n  hint: 1 to 64 letters, digits, `.`, `_`, `-`, not beginning with `.` or `-`; \
             a place is named with --out",
            plain(name)
        ));
    }
    Ok((template, name))
}

/// As the checker takes it.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(fits) && !name.starts_with(['.', '-'])
}

/// The template's text with another name in it.
fn renamed(template: &Template, name: &str) -> String {
    let line = |name: &str| format!("name     = \"{name}\"");
    template.text.replacen(&line(template.name), &line(name), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Options, parse};

    #[test]
    fn every_template_is_sound_under_its_own_name_and_another() {
        for template in &TEMPLATES {
            for name in [template.name, "a_name.of-ones.0wn"] {
                let text = renamed(template, name);
                let scenario = parse(template.name, &text, &Options::default());
                let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
                assert_eq!(scenario.name, name);
                assert!(!scenario.analysis.is_empty(), "{name} says what it asks");
                assert!(text.contains("# "), "{name} has comments");
            }
        }
    }

    #[test]
    fn a_word_is_a_template_or_a_name() {
        let check = |name, from, wanted: (&str, &str)| {
            let (template, name) = chosen(name, from).unwrap();
            assert_eq!((template.name, name), wanted);
        };
        check(None, None, ("put", "put"));
        check(Some("mixed"), None, ("mixed", "mixed"));
        check(Some("mine"), None, ("put", "mine"));
        check(Some("mine"), Some("gate"), ("gate", "mine"));
        check(Some("mixed"), Some("gate"), ("gate", "mixed"));
        assert!(chosen(Some("mine"), Some("gaet")).is_err_and(|wrong| wrong.contains("minimal")));
        for bad in ["../x", "", "-x", "a b", ".x"] {
            assert!(chosen(Some(bad), None).is_err_and(|wrong| wrong.contains("--out")), "{bad}");
        }
    }
}
