//! Models in JSON and UBJSON, as `XGBoost` has written them since 1.0.

use std::fmt::Display;
use std::str::FromStr;

use modelcell_guest::{Context, Error, Result};

use super::tree::TreeColumns;
use super::trees::TreesBuilder;
use super::{Saved, Version, base_score, missing};
use crate::read::Pull;

/// Reads a whole document into `saved`, which has nothing yet.
pub(crate) fn read(document: &mut impl Pull, mut saved: Saved) -> Result<Saved> {
    let mut learner = false;
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "learner" => {
                read_learner(document, &mut saved)?;
                learner = true;
            }
            "version" => saved.version = read_version(document)?,
            // What a pickled booster has inside: the model beside its training settings.
            "Model" => {
                read_model(document, &mut saved)?;
                learner = true;
            }
            _ => document.skip()?,
        }
    }
    learner
        .then_some(saved)
        .ok_or_else(|| Error::failed("it is no XGBoost model: there is no \"learner\" in it"))
}

fn read_model(document: &mut impl Pull, saved: &mut Saved) -> Result<()> {
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "learner" => read_learner(document, saved)?,
            "version" => saved.version = read_version(document)?,
            _ => document.skip()?,
        }
    }
    Ok(())
}

fn read_version(document: &mut impl Pull) -> Result<Version> {
    let mut numbers = Vec::new();
    document.numbers::<u32>(&mut numbers).context("version")?;
    let mut version = Version::default();
    for (to, number) in version.0.iter_mut().zip(numbers) {
        *to = number;
    }
    Ok(version)
}

fn read_learner(document: &mut impl Pull, saved: &mut Saved) -> Result<()> {
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "attributes" => read_attributes(document, saved).context("attributes")?,
            "gradient_booster" => read_booster(document, saved)?,
            "learner_model_param" => {
                read_parameters(document, saved).context("learner_model_param")?;
            }
            "objective" => saved.objective = read_name(document).context("objective")?,
            _ => document.skip()?,
        }
    }
    Ok(())
}

fn read_attributes(document: &mut impl Pull, saved: &mut Saved) -> Result<()> {
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "best_ntree_limit" => saved.best_trees = document.text()?.parse().ok(),
            _ => document.skip()?,
        }
    }
    Ok(())
}

/// `XGBoost` writes these numbers as text.
fn read_parameters(document: &mut impl Pull, saved: &mut Saved) -> Result<()> {
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "base_score" => saved.base_score = base_score(&document.text()?)?,
            "num_feature" => saved.features = Some(parse(document, "num_feature")?),
            "num_class" => saved.classes = parse(document, "num_class")?,
            "num_target" => saved.targets = parse(document, "num_target")?,
            _ => document.skip()?,
        }
    }
    Ok(())
}

fn parse<T: FromStr<Err: Display>>(document: &mut impl Pull, name: &str) -> Result<T> {
    let text = document.text()?;
    text.trim()
        .parse()
        .map_err(|error| Error::failed(format_args!("{name} is {text:?}: {error}")))
}

fn read_name(document: &mut impl Pull) -> Result<Option<String>> {
    let mut name = None;
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "name" => name = Some(document.text()?),
            _ => document.skip()?,
        }
    }
    Ok(name)
}

/// The booster: gbtree and gblinear have a model, dart a gbtree and weights.
fn read_booster(document: &mut impl Pull, saved: &mut Saved) -> Result<()> {
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "name" => saved.booster = Some(document.text()?),
            "model" => read_booster_model(document, saved)?,
            "gbtree" => read_dart_trees(document, saved)?,
            "weight_drop" => read_tree_weights(document, saved)?,
            _ => document.skip()?,
        }
    }
    Ok(())
}

fn read_dart_trees(document: &mut impl Pull, saved: &mut Saved) -> Result<()> {
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "model" => read_booster_model(document, saved)?,
            _ => document.skip()?,
        }
    }
    Ok(())
}

fn read_booster_model(document: &mut impl Pull, saved: &mut Saved) -> Result<()> {
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "trees" => read_trees(document, &mut saved.trees)?,
            "tree_info" => {
                let mut outputs = Vec::new();
                document.numbers(&mut outputs).context("tree_info")?;
                saved.trees.set_outputs(outputs);
            }
            // As of XGBoost 3.4 they stand here.
            "weight_drop" => read_tree_weights(document, saved)?,
            "weights" => {
                let mut weights = Vec::new();
                document.numbers(&mut weights).context("weights")?;
                saved.weights = Some(weights);
            }
            _ => document.skip()?,
        }
    }
    Ok(())
}

fn read_tree_weights(document: &mut impl Pull, saved: &mut Saved) -> Result<()> {
    document
        .numbers(&mut saved.tree_weights)
        .context("weight_drop")
}

fn read_trees(document: &mut impl Pull, trees: &mut TreesBuilder) -> Result<()> {
    let mut columns = TreeColumns::default();
    let mut items = document.array().context("trees")?;
    let mut index = 0;
    while document.more(&mut items)? {
        columns.clear();
        read_tree(document, &mut columns, trees.wants_base_weights())
            .context(format_args!("tree {index}"))?;
        trees.add(&mut columns)?;
        index += 1;
    }
    Ok(())
}

fn read_tree(document: &mut impl Pull, tree: &mut TreeColumns, base_weights: bool) -> Result<()> {
    let mut items = document.object()?;
    let mut has_parameters = false;
    while let Some(key) = document.key(&mut items)? {
        let key = key.as_str();
        match key {
            "left_children" => document.numbers(&mut tree.left),
            "right_children" => document.numbers(&mut tree.right),
            "split_indices" => document.numbers(&mut tree.feature),
            "split_conditions" => document.numbers(&mut tree.condition),
            "default_left" => document.numbers(&mut tree.default_left),
            "split_type" => document.numbers(&mut tree.split_type),
            "categories" => document.numbers(&mut tree.categories),
            "categories_nodes" => document.numbers(&mut tree.category_nodes),
            "categories_segments" => document.numbers(&mut tree.category_starts),
            "categories_sizes" => document.numbers(&mut tree.category_counts),
            "base_weights" if base_weights => document.numbers(&mut tree.base_weights),
            "leaf_weights" => document.numbers(&mut tree.leaf_weights),
            "tree_param" => {
                has_parameters = true;
                read_tree_parameters(document, tree)
            }
            _ => document.skip(),
        }
        .context(key)?;
    }
    has_parameters
        .then_some(())
        .ok_or_else(|| missing("tree_param"))
}

fn read_tree_parameters(document: &mut impl Pull, tree: &mut TreeColumns) -> Result<()> {
    let mut items = document.object()?;
    while let Some(key) = document.key(&mut items)? {
        match key.as_str() {
            "size_leaf_vector" => tree.leaf_size = parse(document, "size_leaf_vector")?,
            _ => document.skip()?,
        }
    }
    Ok(())
}
