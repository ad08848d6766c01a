//! What is given: on the command line, and in variables of the environment.
//!
//! Each setting is a flag `-max-series` and a variable `PAG_MAX_SERIES`; the flag wins. A variable
//! with nothing in it counts as not set: that is what templates leave of a value that they lack.
//! Errors name whichever the value came from.

use std::collections::BTreeMap;
use std::ffi::OsString;

use pico_args::Arguments;

use super::flags::FLAGS;
use super::near_miss;
use crate::excerpt::Excerpt;

/// What the name of each variable begins with.
pub const VARIABLE_PREFIX: &str = "PAG_";

/// Flags and variables that were not read yet.
pub struct Given {
    arguments: Arguments,
    variables: BTreeMap<String, OsString>,
}

impl Given {
    /// Takes the arguments after the program's name, and the variables whose names are ours.
    pub fn new(
        arguments: impl IntoIterator<Item = OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Given {
        let arguments = arguments.into_iter().flat_map(as_pico_args_knows_it);
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let is_ours = name.starts_with(VARIABLE_PREFIX) && !value.is_empty();
            is_ours.then_some((name, value))
        });
        Given {
            arguments: Arguments::from_vec(arguments.collect()),
            variables: ours.collect(),
        }
    }

    /// Whether a flag without a value that is no setting is on the command line.
    pub fn has(&mut self, flag: &'static str) -> bool {
        self.arguments.contains(flag)
    }

    /// The value of a flag that is no setting.
    pub fn of_command<T>(
        &mut self,
        flag: &'static str,
        read: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let given = self.arguments.opt_value_from_fn(flag, read);
        given.map_err(|error| wrong_value(flag, error))
    }

    /// Takes a variable, with its name.
    fn variable(&mut self, flag: &str) -> Result<Option<(String, String)>, String> {
        let name = variable_name(flag);
        let Some(value) = self.variables.remove(&name) else {
            return Ok(None);
        };
        match value.into_string() {
            Ok(value) => Ok(Some((name, value))),
            Err(value) => {
                let found = Excerpt::of(value.as_encoded_bytes());
                Err(format!("variable {name}: expected UTF-8, found {found}"))
            }
        }
    }

    /// What is wrong with what is left of the arguments, and warnings of variables that are left.
    pub fn finish(self) -> Result<Vec<String>, String> {
        if let Some(argument) = self.arguments.finish().first() {
            return Err(unexpected(&argument.to_string_lossy()));
        }
        let left = self.variables.keys();
        Ok(left.map(|name| near_miss::unknown_variable(name)).collect())
    }
}

/// The variable that stands for a flag.
pub fn variable_name(flag: &str) -> String {
    let name = flag.trim_start_matches('-').replace('-', "_");
    format!("{VARIABLE_PREFIX}{}", name.to_ascii_uppercase())
}

/// The value of a setting, or its default.
pub fn value<T>(
    from: &mut Given,
    flag: &'static str,
    read: fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    if let Some(value) = given(from, flag, read)? {
        return Ok(value);
    }
    read(default(flag))
}

/// What a setting is without being given.
fn default(flag: &str) -> &'static str {
    let default = FLAGS
        .iter()
        .find(|known| flag.strip_prefix("--") == Some(known.name));
    default.map_or("", |flag| flag.default)
}

/// The value of a setting, if it is given.
pub fn given<T>(
    from: &mut Given,
    flag: &'static str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let variable = from.variable(flag)?;
    if let Some(value) = from.of_command(flag, read)? {
        return Ok(Some(value));
    }
    let value = variable.map(|(name, text)| read(&text).map_err(|why| of_variable(&name, &why)));
    value.transpose()
}

/// The values of a setting that may be repeated, in their order. In a variable, commas or line
/// feeds stand between them.
pub fn repeated<T>(
    from: &mut Given,
    flag: &'static str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let variable = from.variable(flag)?;
    let given = from.arguments.values_from_fn(flag, read);
    let given = given.map_err(|error| wrong_value(flag, error))?;
    let Some((name, text)) = variable.filter(|_| given.is_empty()) else {
        return Ok(given);
    };
    let parts = text.split([',', '\n']).map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts
        .map(|part| read(part).map_err(|why| of_variable(&name, &why)))
        .collect()
}

/// The same; without any, its default.
pub fn repeated_or_default<T>(
    from: &mut Given,
    flag: &'static str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let given = repeated(from, flag, read)?;
    if given.is_empty() {
        return Ok(vec![read(default(flag))?]);
    }
    Ok(given)
}

/// Whether a setting without a value is given.
pub fn switch(from: &mut Given, flag: &'static str) -> Result<bool, String> {
    let variable = from.variable(flag)?;
    if from.has(flag) {
        return Ok(true);
    }
    match variable {
        None => Ok(false),
        Some((name, value)) => match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => {
                let found = Excerpt::of(value);
                Err(of_variable(
                    &name,
                    &format!("expected true or false, found {found}"),
                ))
            }
        },
    }
}

fn of_variable(name: &str, why: &str) -> String {
    format!("variable {name}: {why}")
}

fn wrong_value(flag: &'static str, error: pico_args::Error) -> String {
    let flag = &flag[1..];
    match error {
        pico_args::Error::Utf8ArgumentParsingFailed { cause, .. } => {
            format!("flag {flag}: {cause}")
        }
        pico_args::Error::OptionWithoutAValue(_) => format!("flag {flag} needs a value"),
        pico_args::Error::NonUtf8Argument => format!("flag {flag}: expected UTF-8"),
        error => format!("flag {flag}: {error}"),
    }
}

/// pico-args knows `--name value`; Go's flags are as often written `-name=value`.
fn as_pico_args_knows_it(argument: OsString) -> Vec<OsString> {
    let known = argument.to_str().and_then(|text| {
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (text, None),
        };
        let name = flag.strip_prefix("--").or(flag.strip_prefix('-'))?;
        let known = FLAGS.iter().find(|known| known.name == name)?;
        let takes_value = !known.value.is_empty();
        (takes_value || value.is_none()).then_some((name, value))
    });
    match known {
        None => vec![argument],
        Some((name, value)) => {
            let flag = format!("--{name}");
            [Some(flag.as_str()), value]
                .into_iter()
                .flatten()
                .map(OsString::from)
                .collect()
        }
    }
}

/// Says what is wrong with an argument that was left over. Its value is not shown: it may be a
/// password that another program takes there.
fn unexpected(argument: &str) -> String {
    let flag = argument.split('=').next().unwrap_or_default();
    let name = flag.strip_prefix("--").or(flag.strip_prefix('-'));
    let known = FLAGS.iter().find(|known| name == Some(known.name));
    match known {
        Some(known) if flag.len() < argument.len() => {
            let found = Excerpt::of(argument);
            format!("flag -{} takes no value, found {found}", known.name)
        }
        Some(known) => format!("flag -{} is given twice", known.name),
        None if argument.starts_with('-') => near_miss::unknown_flag(flag),
        None => near_miss::unexpected_argument(flag),
    }
}
