//! The run file as a JSON Schema (2020-12), for those who read records with programs of their own. It is derived from the types,
//! and its descriptions are their documentation, units included.
//!
//! It is open: a later version may add fields to the same layout, and readers leave alone what they do not know. What a field's
//! absence means stands in its description; fields that older records lack are not required.

use super::Run;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

/// The schema as text, indented, with a line end.
pub fn json() -> String {
    let settings = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with_transform(RecursiveTransform(without_links));
    format!("{:#}\n", settings.into_generator().into_root_schema_for::<Run>().as_value())
}

/// Links between types mean nothing outside the code.
fn without_links(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`").replace("super::", "");
    }
}
