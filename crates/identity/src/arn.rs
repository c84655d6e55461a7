//! Amazon Resource Names, and the place (partition, Region, account) that a broker stands for.

use std::fmt;

use crate::{AccountId, Region};

/// Where this broker is: every ARN it builds starts here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The Region it plays.
    pub region: Region,
    /// The account it plays. One broker, one account.
    pub account: AccountId,
}

impl Site {
    /// The partition of the Region: `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &'static str {
        match self.region.as_str() {
            r if r.starts_with("cn-") => "aws-cn",
            r if r.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// `arn:aws:iot:REGION:ACCOUNT:KIND/NAME`.
    pub fn arn(&self, kind: &str, name: &str) -> String {
        format!("{}{kind}/{name}", self.arn_prefix())
    }

    /// `arn:aws:iot:REGION:ACCOUNT:`, the part that all ARNs of the site share.
    pub fn arn_prefix(&self) -> String {
        format!("arn:{}:iot:{}:{}:", self.partition(), self.region, self.account)
    }

    /// The name in an ARN of this site and kind, if it is one.
    pub fn name_in<'a>(&self, kind: &str, arn: &'a str) -> Option<&'a str> {
        arn.strip_prefix(&self.arn_prefix())?.strip_prefix(kind)?.strip_prefix('/')
    }
}

/// An ARN split into its fields. The resource keeps its colons and slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, ...
    pub partition: &'a str,
    /// `iot`, `iam`, ...
    pub service: &'a str,
    /// May be empty.
    pub region: &'a str,
    /// May be empty.
    pub account: &'a str,
    /// All that follows the fifth colon.
    pub resource: &'a str,
}

/// The text is not an ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidArn;

impl fmt::Display for InvalidArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an ARN: it needs the form arn:partition:service:region:account:resource")
    }
}

impl std::error::Error for InvalidArn {}

impl<'a> Arn<'a> {
    /// Splits at the first five colons.
    pub fn parse(text: &'a str) -> Result<Self, InvalidArn> {
        let mut fields = text.splitn(6, ':');
        let mut next = || fields.next().ok_or(InvalidArn);
        if next()? != "arn" {
            return Err(InvalidArn);
        }
        Ok(Self {
            partition: next()?,
            service: next()?,
            region: next()?,
            account: next()?,
            resource: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site { region: Region::new("eu-west-1").unwrap(), account: AccountId::new("123456789012").unwrap() }
    }

    #[test]
    fn arns_are_built_and_taken_apart() {
        let arn = site().arn("client", "fleet:7");
        assert_eq!(arn, "arn:aws:iot:eu-west-1:123456789012:client/fleet:7");
        assert_eq!(Arn::parse(&arn).unwrap().resource, "client/fleet:7");
        assert_eq!(site().name_in("client", &arn), Some("fleet:7"));
        assert_eq!(site().name_in("thing", &arn), None);
        assert_eq!(Arn::parse("aws:iot:::x"), Err(InvalidArn));
        assert_eq!(Arn::parse("arn:aws:iot"), Err(InvalidArn));
    }

    #[test]
    fn the_partition_follows_the_region() {
        let mut site = site();
        site.region = Region::new("cn-north-1").unwrap();
        assert_eq!(site.partition(), "aws-cn");
    }
}
