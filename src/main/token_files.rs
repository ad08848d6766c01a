//! The files of tokens: read at the start, and again and again while the process runs.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use prometheus_aggregation_gateway::cli::Config;
use prometheus_aggregation_gateway::excerpt::Excerpt;
use prometheus_aggregation_gateway::http::access::{Access, Guard};
use prometheus_aggregation_gateway::tokens::{TOKEN_BYTES_MAX, TOKENS_MAX, Tokens};
use rustix::fs::OFlags;

use super::{Failure, logger, system, usage};

/// A longer file is refused: as many tokens as may be, and as many bytes of comments.
const FILE_BYTES_MAX: u64 = 2 * (TOKENS_MAX * TOKEN_BYTES_MAX) as u64;

/// Where systemd puts a service's credentials (systemd.exec(5), `LoadCredential`).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// What to do about a file that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Do not start.
    Fail,
    /// Refuse all tokens until it can be used. After a hand-over clients are connected already, and
    /// the previous image found the file usable a moment ago.
    Close,
}

/// The files that flags name.
pub struct TokenFiles {
    push: Option<TokenFile>,
    scrape: Option<TokenFile>,
}

struct TokenFile {
    flag: &'static str,
    path: PathBuf,
    /// Why it cannot be used, if so: it is said once.
    trouble: Option<String>,
}

impl TokenFiles {
    /// Reads the files that flags name.
    pub fn open(config: &Config, unusable: Unusable) -> Result<(TokenFiles, Access), Failure> {
        let open = |flag, path: &Option<PathBuf>| match path {
            None => Ok((None, Guard::Open)),
            Some(path) => {
                let (file, tokens) = TokenFile::open(flag, path, unusable)?;
                Ok((Some(file), Guard::of(tokens)))
            }
        };
        let (push, push_guard) = open("-push-token-file", &config.push_token_file)?;
        let (scrape, scrape_guard) = open("-scrape-token-file", &config.scrape_token_file)?;
        let access = Access {
            push: push_guard,
            scrape: scrape_guard,
        };
        Ok((TokenFiles { push, scrape }, access))
    }

    /// Reads them again. They are short, so that they are compared by what is in them: a time of
    /// change would miss a second one within the same tick.
    pub fn look(&mut self, access: &Access) {
        let files = [&mut self.push, &mut self.scrape];
        for (file, guard) in files.into_iter().zip([&access.push, &access.scrape]) {
            if let Some(file) = file {
                file.look(guard);
            }
        }
    }
}

impl TokenFile {
    fn open(
        flag: &'static str,
        path: &Path,
        unusable: Unusable,
    ) -> Result<(TokenFile, Tokens), Failure> {
        let path = resolved(flag, path)?;
        let mut file = TokenFile {
            flag,
            path,
            trouble: None,
        };
        match read(&file.path) {
            Ok(tokens) => Ok((file, tokens)),
            Err(why) if unusable == Unusable::Fail => Err(system(file.line(&why))),
            Err(why) => {
                let line = file.line(&why);
                logger::error(format!("{line}; nobody is let in until it can be used"));
                file.trouble = Some(why);
                Ok((file, Tokens::NONE))
            }
        }
    }

    fn look(&mut self, guard: &Guard) {
        match read(&self.path) {
            Ok(tokens) => {
                let count = tokens.count();
                let plural = if count == 1 { "" } else { "s" };
                let had_trouble = self.trouble.take().is_some();
                if guard.replace(tokens) || had_trouble {
                    let path = self.path.display();
                    let flag = self.flag;
                    logger::info(format!(
                        "flag {flag}: {path}: read again, {count} token{plural}"
                    ));
                }
            }
            Err(why) => {
                if self.trouble.as_ref() != Some(&why) {
                    let line = self.line(&why);
                    logger::error(format!("{line}; the tokens from before are still accepted"));
                }
                self.trouble = Some(why);
            }
        }
    }

    fn line(&self, why: &str) -> String {
        format!("flag {}: {}: {why}", self.flag, self.path.display())
    }
}

/// The path of a file; a name alone is one of systemd's credentials.
fn resolved(flag: &str, path: &Path) -> Result<PathBuf, Failure> {
    let name = path.as_os_str().as_encoded_bytes();
    if name.contains(&b'/') {
        return Ok(path.to_owned());
    }
    if let Some(folder) = env::var_os(CREDENTIALS_DIRECTORY) {
        return Ok(Path::new(&folder).join(path));
    }
    let name = Excerpt::of(name);
    Err(usage(format!(
        "flag {flag}: {name} without a slash is a credential of systemd, but \
         ${CREDENTIALS_DIRECTORY} is not set (LoadCredential= sets it); for a file of the working \
         directory, begin with ./"
    )))
}

/// The tokens of a file, or why it cannot be used.
fn read(path: &Path) -> Result<Tokens, String> {
    let said = |error: io::Error| format!("cannot be read: {error}");
    // Opening a FIFO would wait for whoever writes to it.
    let mut options = OpenOptions::new();
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    options.read(true).custom_flags(flags);
    let file: fs::File = options.open(path).map_err(said)?;
    if !file.metadata().map_err(said)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut contents = Vec::new();
    let mut limited = file.take(FILE_BYTES_MAX + 1);
    let length = limited.read_to_end(&mut contents).map_err(said)?;
    if length as u64 > FILE_BYTES_MAX {
        return Err(format!("it is longer than {FILE_BYTES_MAX} bytes"));
    }
    Tokens::read(&contents).map_err(|error| error.to_string())
}
