//! `joined.parquet`: a join as a table, with the difference and each token's category.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};

use crate::error::RecordsError;
use crate::joined::{Basis, Joined, JoinedModel};
use crate::table::{calibrated_fields, place_arrays, place_fields, score_arrays, score_fields};
use crate::write::Table;

/// Rows encoded at a time.
const BATCH_ROWS: usize = 128 * 1024;

/// Writes a join to `path`: where each token stands, every run's columns with the role as suffix (`loss_a`,
/// `loss_b`, …, and `loss_calibrated_a`, … of the runs that have a temperature), `delta` = loss of a − loss of b on `basis` in
/// nats (Float64, exact), and `category`.
///
/// `category[row]` indexes `category_names`.
///
/// # Errors
/// The file cannot be written, or a or b has no losses on this basis.
///
/// # Panics
/// If the join has fewer than two models, or a row has no category.
pub fn write_joined(
    path: &Path,
    joined: &Joined,
    basis: Basis,
    category: &[u8],
    category_names: &[String],
) -> Result<(), RecordsError> {
    assert_eq!(category.len(), joined.rows(), "one category a row");
    let mut fields = place_fields();
    for model in &joined.models {
        let suffix = format!("_{}", model.role.name());
        fields.extend(score_fields(&suffix));
        if model.calibrated.is_some() {
            fields.extend(calibrated_fields(&suffix));
        }
    }
    let [a, b] = [loss_on(&joined.models[0], basis)?, loss_on(&joined.models[1], basis)?];
    fields.push(Field::new("delta", DataType::Float64, false));
    fields.push(Field::new("category", DataType::Utf8, false));
    let schema = Arc::new(Schema::new(fields));
    let mut table = Table::create(path.to_owned(), schema.as_ref().clone())?;
    for start in (0..joined.rows()).step_by(BATCH_ROWS) {
        let rows = start..joined.rows().min(start + BATCH_ROWS);
        let place = [&joined.document, &joined.position, &joined.token, &joined.byte_start, &joined.byte_end];
        let mut columns = place_arrays(place.map(|column| &column[rows.clone()]));
        for model in &joined.models {
            columns.extend(score_arrays(
                &model.loss[rows.clone()],
                &model.entropy[rows.clone()],
                &model.rank[rows.clone()],
                &model.top_token[rows.clone()],
                &model.top_probability[rows.clone()],
            ));
            columns.extend(model.calibrated.iter().flat_map(|calibrated| calibrated.arrays(rows.clone())));
        }
        let delta = rows.clone().map(|row| f64::from(a[row]) - f64::from(b[row]));
        columns.push(Arc::new(Float64Array::from_iter_values(delta)) as ArrayRef);
        let names = category[rows].iter().map(|&index| category_names[usize::from(index)].as_str());
        columns.push(Arc::new(StringArray::from_iter_values(names)));
        table.write(RecordBatch::try_new(Arc::clone(&schema), columns))?;
    }
    table.close()
}

fn loss_on(model: &JoinedModel, basis: Basis) -> Result<&[f32], RecordsError> {
    match model.on(basis) {
        Some([loss, _]) => Ok(loss),
        None => Err(RecordsError::NoTemperature {
            run: model.label.clone(),
            because: model.run.no_temperature_because(),
        }),
    }
}
