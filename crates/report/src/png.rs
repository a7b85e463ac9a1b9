//! Figures as PNG files at print size, drawn from their SVG with fonts of our own: the same bytes on every machine.

use std::sync::{Arc, LazyLock};

use png::{BitDepth, ColorType, Encoder, PixelDimensions, Unit};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Width of every figure's PNG file, pixels: 600 an inch at 12 cm.
pub const PNG_WIDTH: u32 = 2835;
/// Width that it is printed at.
const PRINT_WIDTH_METRES: f64 = 0.12;

/// DejaVu Sans and DejaVu Sans Mono (`assets/fonts/`).
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    for font in [
        &include_bytes!("../../../assets/fonts/DejaVuSans.ttf")[..],
        include_bytes!("../../../assets/fonts/DejaVuSans-Bold.ttf"),
        include_bytes!("../../../assets/fonts/DejaVuSansMono.ttf"),
    ] {
        fonts.load_font_data(font.to_vec());
    }
    fonts.set_sans_serif_family(SANS);
    fonts.set_monospace_family("DejaVu Sans Mono");
    Arc::new(fonts)
});

const SANS: &str = "DejaVu Sans";

/// Draws an SVG document that paints its own paper.
pub(crate) fn render(svg: &str) -> Result<Vec<u8>, String> {
    let options = Options { fontdb: Arc::clone(&FONTS), font_family: SANS.to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size();
    let scale = PNG_WIDTH as f32 / size.width();
    let height = (size.height() * scale).round() as u32;
    let mut pixels = Pixmap::new(PNG_WIDTH, height)
        .ok_or_else(|| format!("{PNG_WIDTH} by {height} pixels are too many"))?;
    // The figure's paper may end within the last row of pixels.
    pixels.fill(Color::WHITE);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    encode(&pixels).map_err(|error| error.to_string())
}

/// The pixels without their alpha, which is full everywhere.
fn encode(pixels: &Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, pixels.width(), pixels.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let per_metre = (f64::from(PNG_WIDTH) / PRINT_WIDTH_METRES).round() as u32;
    encoder.set_pixel_dims(Some(PixelDimensions { xppu: per_metre, yppu: per_metre, unit: Unit::Meter }));
    let colours: Vec<u8> =
        pixels.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&colours)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use crate::{figures, sample};

    /// The pixels of a PNG file, and its width.
    fn decoded(file: &[u8]) -> (Vec<[u8; 3]>, usize) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let dimensions = reader.info().pixel_dims.unwrap();
        assert_eq!((dimensions.xppu, dimensions.yppu), (23_625, 23_625));
        let pixels = bytes.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        (pixels, info.width as usize)
    }

    #[test]
    fn a_figure_has_its_paper_its_colours_and_its_text() {
        let figure = figures::categories(&sample::with_intervals());
        let file = figure.to_png().unwrap();
        assert_eq!(file, figure.to_png().unwrap(), "the same bytes twice");
        let (pixels, width) = decoded(&file);
        assert_eq!(width, 2835);
        let edges = pixels[..width].iter().chain(&pixels[pixels.len() - width..]);
        assert!(edges.into_iter().all(|pixel| *pixel == [255; 3]), "paper to the edges");
        let count = |colour: [u8; 3]| pixels.iter().filter(|pixel| **pixel == colour).count();
        assert!(count([0xc2, 0x4e, 0x00]) > 10_000 && count([0x00, 0x72, 0xb2]) > 10_000, "bars of a and b");
        // The labels stand at the left, where nothing else is drawn.
        let rows = pixels.len() / width;
        let ink = (rows / 4..rows / 2).flat_map(|row| &pixels[row * width..row * width + width / 8]);
        assert!(ink.filter(|pixel| pixel[0] < 60).count() > 1_000, "text");
    }

    #[test]
    fn every_figure_of_every_sample_can_be_drawn() {
        for comparison in [sample::hostile(), sample::extreme(), sample::empty(), sample::halves()] {
            for figure in figures::figures(&comparison) {
                let (pixels, _) = decoded(&figure.to_png().unwrap());
                assert!(pixels.iter().any(|pixel| pixel[0] < 100), "{}: something is drawn", figure.name);
            }
        }
    }
}
