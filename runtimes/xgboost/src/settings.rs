//! What operators set for all models of an endpoint, in the environment variables of SageMaker's
//! XGBoost container.

use modelcell_tabular::{Answers, selected_setting};

/// The settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Several models in an artifact predict together (`SAGEMAKER_INFERENCE_ENSEMBLE`). Otherwise only
    /// the first does.
    pub(crate) ensemble: bool,
    /// What to answer with, in place of the plain predictions (`SAGEMAKER_INFERENCE_OUTPUT`).
    pub(crate) selected: Option<Vec<String>>,
    /// How to write answers (`SAGEMAKER_BATCH`, `SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT`).
    pub(crate) answers: Answers,
}

impl Settings {
    /// Settings by the variables' names.
    pub(crate) fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            ensemble: variable("SAGEMAKER_INFERENCE_ENSEMBLE").is_none_or(|value| value == "true"),
            selected: selected_setting(&variable),
            answers: Answers::default().with_settings(variable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, value: &str) -> Settings {
        Settings::new(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn variables_set_what_the_container_says() {
        let plain = Settings::new(|_| None);
        assert!(plain.ensemble && plain.selected.is_none() && !plain.answers.batch);
        assert_eq!(plain.answers.default_accept, "text/csv");

        assert!(settings("SAGEMAKER_INFERENCE_ENSEMBLE", "true").ensemble);
        assert!(!settings("SAGEMAKER_INFERENCE_ENSEMBLE", "True").ensemble);
        assert!(settings("SAGEMAKER_BATCH", "true").answers.batch);
        assert!(!settings("SAGEMAKER_BATCH", "False").answers.batch);
        let accept = settings("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json");
        assert_eq!(accept.answers.default_accept, "application/json");
        let keys = settings("SAGEMAKER_INFERENCE_OUTPUT", "predicted_label, Probability");
        assert_eq!(keys.selected.unwrap(), ["predicted_label", "probability"]);
        for nothing in ["", " ", ",", ", ,"] {
            assert_eq!(settings("SAGEMAKER_INFERENCE_OUTPUT", nothing), plain);
        }
    }
}
