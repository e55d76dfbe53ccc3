//! What a key allows. Pure: names in, yes or no out.

use super::denied::{Denied, shown};
use super::pattern::Pattern;

/// The rights of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Ask models for predictions.
    Invoke,
    /// List, describe, load and unload models.
    Manage,
    /// Metrics and readiness.
    Monitor,
}

/// What a key allows, and of which endpoints and models.
#[derive(Debug)]
pub struct Policy {
    pub allow: Vec<Right>,
    pub endpoints: Vec<Pattern>,
    pub target_models: Vec<Pattern>,
}

impl Policy {
    /// Whether `user` may ask a model of `endpoint`.
    pub fn invoke(&self, user: &str, endpoint: &str, model: Option<&str>) -> Result<(), Denied> {
        let denied = |reason| forbidden(user, "sagemaker:InvokeEndpoint", endpoint, reason);
        if !self.allow.contains(&Right::Invoke) {
            return Err(denied("its key does not allow \"invoke\""));
        }
        self.reaches(endpoint, model).map_err(denied)
    }

    /// Whether `user` may manage `model` of `endpoint`, or with none the models of all of it.
    pub fn manage(&self, user: &str, endpoint: &str, model: Option<&str>) -> Result<(), Denied> {
        let denied = |reason| forbidden(user, "modelcell:ManageModels", endpoint, reason);
        if !self.allow.contains(&Right::Manage) {
            return Err(denied("its key does not allow \"manage\""));
        }
        self.reaches(endpoint, model).map_err(denied)
    }

    /// Whether `user` may see how the host as a whole does.
    ///
    /// "manage" includes this, unless it is limited: metrics tell of every endpoint and model.
    pub fn monitor(&self, user: &str) -> Result<(), Denied> {
        let manages = self.allow.contains(&Right::Manage);
        let unlimited = any(&self.endpoints) && any(&self.target_models);
        if self.allow.contains(&Right::Monitor) || (manages && unlimited) {
            return Ok(());
        }
        Err(Denied::Forbidden {
            user: user.to_owned(),
            action: "modelcell:Monitor",
            resource: "host".into(),
            reason: "its key does not allow \"monitor\"",
        })
    }

    /// Why `model` of `endpoint` is out of reach.
    fn reaches(&self, endpoint: &str, model: Option<&str>) -> Result<(), &'static str> {
        if !self.has_endpoint(endpoint) {
            return Err("its key's endpoints do not include this one");
        }
        if any(&self.target_models) {
            return Ok(());
        }
        match model {
            None => Err("its key allows only some target-models, and the request is not for one"),
            // No repository takes `tenant-a/../tenant-b/x`, which would get past `tenant-a/*`.
            Some(name) if is_canonical(name) && matches(&self.target_models, name) => Ok(()),
            Some(_) => Err("its key's target-models do not include this model"),
        }
    }

    /// Whether something of `endpoint` is in reach.
    pub fn has_endpoint(&self, endpoint: &str) -> bool {
        matches(&self.endpoints, endpoint)
    }
}

fn any(patterns: &[Pattern]) -> bool {
    patterns.iter().any(Pattern::is_any)
}

fn matches(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

fn is_canonical(name: &str) -> bool {
    !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

fn forbidden(user: &str, action: &'static str, endpoint: &str, reason: &'static str) -> Denied {
    Denied::Forbidden {
        user: user.to_owned(),
        action,
        resource: format!("endpoint/{}", shown(endpoint)),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[Right], endpoints: &[&str], models: &[&str]) -> Policy {
        let patterns = |texts: &[&str]| {
            let pattern = |text: &&str| Pattern::new((*text).to_owned()).unwrap();
            texts.iter().map(pattern).collect()
        };
        Policy {
            allow: allow.to_vec(),
            endpoints: patterns(endpoints),
            target_models: patterns(models),
        }
    }

    const ALL: &[Right] = &[Right::Invoke, Right::Manage, Right::Monitor];

    #[test]
    fn each_right_is_asked_for() {
        let only = |right| policy(&[right], &["*"], &["*"]);
        let rights = |policy: Policy| {
            [
                policy.invoke("u", "e", None).is_ok(),
                policy.manage("u", "e", None).is_ok(),
                policy.monitor("u").is_ok(),
            ]
        };
        assert_eq!(rights(only(Right::Invoke)), [true, false, false]);
        assert_eq!(rights(only(Right::Manage)), [false, true, true]);
        assert_eq!(rights(only(Right::Monitor)), [false, false, true]);
    }

    #[test]
    fn managing_a_part_is_not_monitoring_the_whole() {
        assert!(
            policy(&[Right::Manage], &["a"], &["*"])
                .monitor("u")
                .is_err()
        );
        assert!(
            policy(&[Right::Manage], &["*"], &["a"])
                .monitor("u")
                .is_err()
        );
        assert!(policy(ALL, &["a"], &["a"]).monitor("u").is_ok());
    }

    #[test]
    fn endpoints_limit_everything_but_monitoring() {
        let policy = policy(ALL, &["churn", "fraud-*"], &["*"]);
        for (endpoint, allowed) in [
            ("churn", true),
            ("fraud-eu", true),
            ("fraud", false),
            ("default", false),
        ] {
            assert_eq!(policy.invoke("u", endpoint, Some("m")).is_ok(), allowed);
            assert_eq!(policy.manage("u", endpoint, Some("m")).is_ok(), allowed);
            assert_eq!(policy.has_endpoint(endpoint), allowed);
        }
    }

    #[test]
    fn target_models_limit_single_models_and_refuse_the_whole() {
        let policy = policy(ALL, &["*"], &["tenant-a/*", "shared.tar.gz"]);
        for (model, allowed) in [
            (Some("tenant-a/x.tar.gz"), true),
            (Some("tenant-a/b/x.tar.gz"), true),
            (Some("shared.tar.gz"), true),
            (Some("tenant-b/x.tar.gz"), false),
            (Some("tenant-a/../tenant-b/x.tar.gz"), false),
            (Some("tenant-a/./x"), false),
            (Some("tenant-a//x"), false),
            (Some("/tenant-a/x"), false),
            (Some("Shared.tar.gz"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(policy.invoke("u", "e", model).is_ok(), allowed, "{model:?}");
            assert_eq!(policy.manage("u", "e", model).is_ok(), allowed, "{model:?}");
        }
    }

    /// As with a condition on a key that the request does not have: only no condition is met.
    #[test]
    fn only_a_lone_star_stands_for_no_model() {
        assert!(
            policy(ALL, &["*"], &["a", "*"])
                .invoke("u", "e", None)
                .is_ok()
        );
        assert!(policy(ALL, &["*"], &["**"]).invoke("u", "e", None).is_err());
    }

    #[test]
    fn a_refusal_says_who_what_and_why() {
        let error = policy(&[Right::Monitor], &["*"], &["*"])
            .invoke("churn-service", "churn\n", None)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "User: churn-service is not authorized to perform: sagemaker:InvokeEndpoint on \
             resource: endpoint/churn? because its key does not allow \"invoke\""
        );
        assert_eq!(error.code(), "AccessDeniedException");
        assert_eq!(error.status(), hyper::StatusCode::FORBIDDEN);
    }
}
