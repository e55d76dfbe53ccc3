//! How much work a component makes for the compiler, counted before it is compiled.
//!
//! A few bytes can claim a great deal: a function or an instance takes some bytes of a component, but
//! kilobytes of the compiler's memory and microseconds of its time. So these things are counted, and
//! more than [`ComponentLimits`] allow is refused with a message that names the limit. What a count
//! cannot tell (a function that happens to be hard to compile, instances of instances) the compiler's
//! own bounds of time and memory catch; see [`super::compiler`].
//!
//! The check reads the section headers and steps over function bodies. It allocates nothing that
//! grows with the component but one parser for each level of nesting, which is bounded itself. Types
//! are bounded by their bytes and not read, because reading them is what they would make expensive.

#[cfg(test)]
mod tests;

use wasmparser::{BinaryReaderError, FunctionBody, Parser, Payload};

/// What a component may have. Each limit is of the whole component with all that is nested in it,
/// unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentLimits {
    /// Functions of core modules.
    pub functions: u64,
    /// Bytes of all functions' code.
    pub code_bytes: u64,
    /// Bytes of one function's code.
    pub function_bytes: u64,
    /// Local variables of all functions.
    pub locals: u64,
    /// Types, of core modules and of components.
    pub types: u64,
    /// Bytes of their descriptions, which bound what types are made of.
    pub type_bytes: u64,
    /// Imports, of core modules and of components.
    pub imports: u64,
    /// Exports, of core modules and of components.
    pub exports: u64,
    /// Core modules.
    pub modules: u64,
    /// Components within the component.
    pub components: u64,
    /// Components or modules within components within the component.
    pub depth: u64,
    /// Instances, of core modules and of components.
    pub instances: u64,
    /// Aliases: names for what another instance or component has.
    pub aliases: u64,
    /// Functions that lift or lower between components and core modules.
    pub adapters: u64,
    /// Globals of core modules.
    pub globals: u64,
    /// Tables of core modules.
    pub tables: u64,
    /// Memories of core modules.
    pub memories: u64,
    /// Segments of data and of tables' elements.
    pub segments: u64,
}

impl Default for ComponentLimits {
    /// Several times what the largest component has that we know, CPython with its standard library.
    fn default() -> Self {
        Self {
            functions: 100_000,
            code_bytes: 48 << 20,
            function_bytes: 2 << 20,
            locals: 4_000_000,
            types: 20_000,
            type_bytes: 1 << 20,
            imports: 20_000,
            exports: 20_000,
            modules: 200,
            components: 200,
            depth: 8,
            instances: 2_000,
            aliases: 20_000,
            adapters: 5_000,
            globals: 50_000,
            tables: 200,
            memories: 100,
            segments: 50_000,
        }
    }
}

/// Why a component is not compiled at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComplexityError {
    /// It has more of something than it may have.
    #[error(
        "the component has {has} {what}, more than the {limit} that a component may have ({name})"
    )]
    TooMuch {
        /// What it has too much of.
        what: &'static str,
        /// How many were counted until the limit was reached.
        has: u64,
        /// How many there may be.
        limit: u64,
        /// The limit's name.
        name: &'static str,
    },
    /// It ends in the middle of something, or has what no component has.
    #[error("{0}")]
    Malformed(String),
}

impl From<BinaryReaderError> for ComplexityError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Counts what `wasm` has.
///
/// # Errors
///
/// At the first thing that is more than `limits` allow, or that is malformed.
pub fn check(wasm: &[u8], limits: &ComponentLimits) -> Result<(), ComplexityError> {
    let mut counts = Counts::new(limits);
    for payload in Parser::new(0).parse_all(wasm) {
        counts.add(&payload?)?;
    }
    Ok(())
}

/// What has been counted of one thing.
struct Count {
    name: &'static str,
    what: &'static str,
    limit: u64,
    so_far: u64,
}

impl Count {
    fn of(name: &'static str, what: &'static str, limit: u64) -> Self {
        Self {
            name,
            what,
            limit,
            so_far: 0,
        }
    }

    fn add(&mut self, more: impl Into<u64>) -> Result<(), ComplexityError> {
        self.so_far = self.so_far.saturating_add(more.into());
        self.check(self.so_far)
    }

    fn check(&self, has: u64) -> Result<(), ComplexityError> {
        if has <= self.limit {
            return Ok(());
        }
        Err(ComplexityError::TooMuch {
            what: self.what,
            has,
            limit: self.limit,
            name: self.name,
        })
    }
}

/// What has been counted so far.
struct Counts {
    functions: Count,
    code_bytes: Count,
    function_bytes: Count,
    locals: Count,
    types: Count,
    type_bytes: Count,
    imports: Count,
    exports: Count,
    modules: Count,
    components: Count,
    depth: Count,
    instances: Count,
    aliases: Count,
    adapters: Count,
    globals: Count,
    tables: Count,
    memories: Count,
    segments: Count,
    /// How deep the parser is within the component.
    level: u64,
}

impl Counts {
    fn new(limits: &ComponentLimits) -> Self {
        let of = Count::of;
        Self {
            functions: of("component-functions", "functions", limits.functions),
            code_bytes: of("component-code-bytes", "bytes of code", limits.code_bytes),
            function_bytes: of(
                "component-function-bytes",
                "bytes of code in one function",
                limits.function_bytes,
            ),
            locals: of("component-locals", "local variables", limits.locals),
            types: of("component-types", "types", limits.types),
            type_bytes: of("component-type-bytes", "bytes of types", limits.type_bytes),
            imports: of("component-imports", "imports", limits.imports),
            exports: of("component-exports", "exports", limits.exports),
            modules: of("component-modules", "core modules", limits.modules),
            components: of(
                "component-components",
                "nested components",
                limits.components,
            ),
            depth: of("component-depth", "levels of nesting", limits.depth),
            instances: of("component-instances", "instances", limits.instances),
            aliases: of("component-aliases", "aliases", limits.aliases),
            adapters: of(
                "component-adapters",
                "lifted and lowered functions",
                limits.adapters,
            ),
            globals: of("component-globals", "globals", limits.globals),
            tables: of("component-tables", "tables", limits.tables),
            memories: of("component-memories", "memories", limits.memories),
            segments: of("component-segments", "segments", limits.segments),
            level: 0,
        }
    }

    /// Counts one thing that the parser came by.
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), ComplexityError> {
        use Payload as P;
        match payload {
            P::FunctionSection(s) => self.functions.add(s.count()),
            P::CodeSectionEntry(body) => self.add_function(body),
            P::TypeSection(s) => self.add_types(s.count(), s.range().len()),
            P::CoreTypeSection(s) => self.add_types(s.count(), s.range().len()),
            P::ComponentTypeSection(s) => self.add_types(s.count(), s.range().len()),
            P::ImportSection(s) => self.imports.add(s.count()),
            P::ComponentImportSection(s) => self.imports.add(s.count()),
            P::ExportSection(s) => self.exports.add(s.count()),
            P::ComponentExportSection(s) => self.exports.add(s.count()),
            P::ModuleSection { .. } => {
                self.enter()?;
                self.modules.add(1_u32)
            }
            P::ComponentSection { .. } => {
                self.enter()?;
                self.components.add(1_u32)
            }
            P::End(_) => {
                self.level = self.level.saturating_sub(1);
                Ok(())
            }
            P::InstanceSection(s) => self.instances.add(s.count()),
            P::ComponentInstanceSection(s) => self.instances.add(s.count()),
            P::ComponentAliasSection(s) => self.aliases.add(s.count()),
            P::ComponentCanonicalSection(s) => self.adapters.add(s.count()),
            P::GlobalSection(s) => self.globals.add(s.count()),
            P::TagSection(s) => self.globals.add(s.count()),
            P::TableSection(s) => self.tables.add(s.count()),
            P::MemorySection(s) => self.memories.add(s.count()),
            P::ElementSection(s) => self.segments.add(s.count()),
            P::DataSection(s) => self.segments.add(s.count()),
            // Headers, names, what is only there once. The engine refuses sections that are unknown.
            _ => Ok(()),
        }
    }

    /// Steps into a module or component. The parser keeps something for each level.
    fn enter(&mut self) -> Result<(), ComplexityError> {
        self.level += 1;
        self.depth.check(self.level)
    }

    fn add_types(&mut self, types: u32, bytes: usize) -> Result<(), ComplexityError> {
        self.types.add(types)?;
        self.type_bytes.add(bytes as u64)
    }

    fn add_function(&mut self, body: &FunctionBody<'_>) -> Result<(), ComplexityError> {
        let bytes = body.range().len() as u64;
        self.function_bytes.check(bytes)?;
        self.code_bytes.add(bytes)?;
        for locals in body.get_locals_reader()? {
            let (count, _) = locals?;
            self.locals.add(count)?;
        }
        Ok(())
    }
}
