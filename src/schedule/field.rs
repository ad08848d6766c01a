//! One field of an expression to the set of numbers that it allows.
//
// field  = item *( "," item )
// item   = base [ "/" step ]
// base   = "*" / "?" / number [ "-" number ]
// number = 1*DIGIT / name        ; within the field's range; a range must not run backwards
// name   = three letters, any case, in the month and the day of week only
// step   = 1*DIGIT               ; at least 1
//
// `a/n` is `a` to the end of the range in steps of `n`, and the end of the week is Saturday (6):
// a Sunday at the end of a range is written 7.

use super::error::{CrontabError, FieldFault, LargeStep};

/// One of the five fields, in the words of crontab(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// 0 to 59
    Minute,
    /// 0 to 23
    Hour,
    /// 1 to 31
    DayOfMonth,
    /// 1 to 12, or `jan` to `dec`
    Month,
    /// 0 to 7, or `sun` to `sat`; 0 and 7 are both Sunday
    DayOfWeek,
}

/// Whether a field allows less than everything, as written: see [`Field::parse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restriction {
    Restricted,
    Unrestricted,
}

/// The numbers that a field allows, never none; Sunday is 0 and not 7.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    /// Bit `n` stands for number `n`; none is over 59.
    bits: u64,
    pub(super) restriction: Restriction,
}

const MONTH_NAMES: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAY_NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Field {
    /// In the order in which they are written.
    pub(super) const ALL: [Field; 5] = [
        Field::Minute,
        Field::Hour,
        Field::DayOfMonth,
        Field::Month,
        Field::DayOfWeek,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Field::Minute => "minute",
            Field::Hour => "hour",
            Field::DayOfMonth => "day of month",
            Field::Month => "month",
            Field::DayOfWeek => "day of week",
        }
    }

    /// The least and the greatest number that may be written.
    pub(super) fn range(self) -> (u32, u32) {
        match self {
            Field::Minute => (0, 59),
            Field::Hour => (0, 23),
            Field::DayOfMonth => (1, 31),
            Field::Month => (1, 12),
            Field::DayOfWeek => (0, 7),
        }
    }

    /// Where `*` and `a/n` end.
    fn end(self) -> u32 {
        match self {
            Field::DayOfWeek => 6,
            _ => self.range().1,
        }
    }

    /// The names of the numbers from the least on.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Field::Month => &MONTH_NAMES,
            Field::DayOfWeek => &DAY_NAMES,
            Field::Minute | Field::Hour | Field::DayOfMonth => &[],
        }
    }

    /// A field counts as unrestricted if an item of it is `*`, `?` or one of them with step 1,
    /// as in robfig/cron: a full range such as `1-31` restricts it.
    pub(super) fn parse(self, text: &str) -> Result<Numbers, CrontabError> {
        let mut numbers = Numbers {
            bits: 0,
            restriction: Restriction::Restricted,
        };
        for item in text.split(',') {
            if item.is_empty() {
                return Err(self.fault(text, FieldFault::EmptyItem));
            }
            let item = self.item(item)?;
            numbers.bits |= item.bits;
            if item.restriction == Restriction::Unrestricted {
                numbers.restriction = Restriction::Unrestricted;
            }
        }
        Ok(numbers)
    }

    fn item(self, item: &str) -> Result<Numbers, CrontabError> {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(self.step(step)?)),
            None => (item, None),
        };
        let (first, last) = self.base(item, base, step)?;
        let step = step.unwrap_or(1);
        let restriction = match base {
            "*" | "?" if step == 1 => Restriction::Unrestricted,
            _ => Restriction::Restricted,
        };
        let bits = (first..=last)
            .step_by(step)
            .fold(0, |bits, number| bits | self.bit(number));
        Ok(Numbers { bits, restriction })
    }

    /// The first and the last number that an item may allow.
    fn base(self, item: &str, base: &str, step: Option<usize>) -> Result<(u32, u32), CrontabError> {
        match (base, base.split_once('-')) {
            ("*" | "?", _) => Ok((self.range().0, self.end())),
            (_, Some((first, last))) => self.ascending(item, base, first, last),
            (_, None) => {
                let first = self.number(item, base)?;
                let last = match step {
                    Some(_) => self.end().max(first),
                    None => first,
                };
                Ok((first, last))
            }
        }
    }

    /// What to warn of in an item: a step over more numbers than there are from the first on.
    pub(super) fn large_step(self, item: &str) -> Option<LargeStep> {
        let (base, step) = item.split_once('/')?;
        let step = self.step(step).ok()?;
        let (first, last) = self.base(item, base, Some(step)).ok()?;
        let count = (first..=last).count();
        (step > count).then(|| LargeStep {
            field: self,
            item: item.to_owned(),
            first,
        })
    }

    fn ascending(
        self,
        item: &str,
        range: &str,
        first: &str,
        last: &str,
    ) -> Result<(u32, u32), CrontabError> {
        let (first, last) = (self.number(item, first)?, self.number(item, last)?);
        if first > last {
            return Err(self.fault(range, FieldFault::Backwards));
        }
        Ok((first, last))
    }

    /// `item` is what to show if `text` is not a number at all.
    fn number(self, item: &str, text: &str) -> Result<u32, CrontabError> {
        let (least, greatest) = self.range();
        let named = self.names().iter().zip(least..);
        if let Some((_, number)) = named
            .into_iter()
            .find(|(name, _)| text.eq_ignore_ascii_case(name))
        {
            return Ok(number);
        }
        let number = digits(text).ok_or_else(|| self.fault(item, FieldFault::NotNumber))?;
        if !(least..=greatest).contains(&number) {
            return Err(self.fault(text, FieldFault::OutOfRange));
        }
        Ok(number)
    }

    fn step(self, text: &str) -> Result<usize, CrontabError> {
        match digits(text) {
            Some(step @ 1..) => Ok(usize::try_from(step).unwrap_or(usize::MAX)),
            _ => Err(self.fault(text, FieldFault::BadStep)),
        }
    }

    fn bit(self, number: u32) -> u64 {
        match self {
            Field::DayOfWeek => 1 << (number % 7),
            _ => 1 << number,
        }
    }

    fn fault(self, text: &str, fault: FieldFault) -> CrontabError {
        CrontabError::Field {
            field: self,
            text: text.to_owned(),
            fault,
        }
    }
}

/// A run of ASCII digits; a number too large for the type is as out of range as the largest.
fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u32::MAX))
}

impl Numbers {
    /// What `*` allows.
    pub(super) fn all(field: Field) -> Numbers {
        let numbers = field.range().0..=field.end();
        let bits = numbers.fold(0, |bits, number| bits | field.bit(number));
        Numbers {
            bits,
            restriction: Restriction::Unrestricted,
        }
    }

    /// The numbers in ascending order, each plus `shift`, with commas between.
    pub(super) fn listed(self, shift: u32) -> String {
        let numbers = (0..u64::BITS).filter(|number| self.bits & (1 << number) != 0);
        let shifted: Vec<String> = numbers.map(|number| (number + shift).to_string()).collect();
        shifted.join(",")
    }
}
