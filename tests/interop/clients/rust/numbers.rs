//! Reads the file of numbers that all clients push, which `tests/interop/pushed_numbers.py` writes:
//! records that end with NUL, of three fields divided by tabs.

/// What a client is called with: `PROGRAM URL NUMBERS JOB`.
pub struct Arguments {
    pub url: String,
    pub numbers: Vec<Number>,
    pub job: String,
}

/// A number to add to a counter, to set a gauge to, or to observe.
pub struct Number {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// The value of the metric's one label.
    pub label: String,
    pub value: f64,
}

pub type Error = Box<dyn std::error::Error + Send + Sync>;

pub fn arguments() -> Result<Arguments, Error> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: PROGRAM URL NUMBERS JOB");
    let (url, file, job) = (next()?, next()?, next()?);
    let text = std::fs::read_to_string(file)?;
    let numbers = text
        .split_terminator('\0')
        .map(number)
        .collect::<Result<_, _>>()?;
    Ok(Arguments { url, numbers, job })
}

fn number(record: &str) -> Result<Number, Error> {
    match record.split('\t').collect::<Vec<_>>()[..] {
        [kind, label, value] => Ok(Number {
            kind: kind.to_owned(),
            label: label.to_owned(),
            value: value.parse()?,
        }),
        _ => Err(format!("not three fields: {record:?}").into()),
    }
}
