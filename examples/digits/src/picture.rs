//! Turns a picture into an image like those of the data set.
//!
//! Any PNG will do: gray, colour or palette, up to 16 bits, with or without transparency. It must be
//! square, and the digit light on dark, because the data set is. What is transparent counts as black.

use std::io::Cursor;

use modelcell_guest::ndarray::Array2;
use modelcell_guest::{Context, Error, Result};
use png::{Decoder, Limits, Transformations};

/// The side of an image of the data set, in pixels.
pub(crate) const SIDE: usize = 8;

/// The largest side of a picture. A small file can claim to hold billions of pixels: none are
/// decoded beyond this.
const LARGEST: usize = 512;

/// What the decoder may set aside beside the pixels themselves.
const DECODER_BYTES: usize = 4 << 20;

/// Reads a picture: one row of 8x8 pixels, each 0 (black) to 16 (white).
pub(crate) fn read(file: &[u8]) -> Result<Array2<f32>> {
    let gray = decode(file)?;
    let shrink = averages(gray.nrows());
    let image = shrink.dot(&gray).dot(&shrink.t()) * (16.0 / 255.0);
    // The sums of averages can end up a rounding error above white.
    let pixels = image.iter().map(|pixel| pixel.clamp(0.0, 16.0)).collect();
    Ok(Array2::from_shape_vec((1, SIDE * SIDE), pixels)?)
}

/// Decodes a picture into a square of brightnesses from 0 to 255.
fn decode(file: &[u8]) -> Result<Array2<f32>> {
    let mut decoder = Decoder::new_with_limits(
        Cursor::new(file),
        Limits {
            bytes: DECODER_BYTES,
        },
    );
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);

    let header = decoder.read_header_info().invalid_input("not a PNG")?;
    let side = side(header.width, header.height)?;
    let mut reader = decoder.read_info().invalid_input("the PNG")?;
    let size = reader
        .output_buffer_size()
        .invalid_input("the PNG is too large")?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).invalid_input("the PNG")?;

    let pixels = samples
        .chunks_exact(frame.color_type.samples())
        .map(brightness)
        .collect();
    Ok(Array2::from_shape_vec((side, side), pixels)?)
}

/// The side of a picture that is a square of a fitting size.
fn side(width: u32, height: u32) -> Result<usize> {
    let side = width as usize;
    if width == height && (SIDE..=LARGEST).contains(&side) {
        return Ok(side);
    }
    Err(Error::invalid_input(format!(
        "the picture has {width}x{height} pixels: send a square of {SIDE}x{SIDE} to {LARGEST}x{LARGEST}"
    )))
}

/// How bright a pixel is on a black ground, from 0 to 255.
fn brightness(pixel: &[u8]) -> f32 {
    let (light, alpha) = match *pixel {
        [gray] => (f32::from(gray), 255),
        [gray, alpha] => (f32::from(gray), alpha),
        [red, green, blue] => (luma(red, green, blue), 255),
        [red, green, blue, alpha] => (luma(red, green, blue), alpha),
        _ => (0.0, 0),
    };
    light * f32::from(alpha) / 255.0
}

/// How bright a colour looks (ITU-R BT.601).
fn luma(red: u8, green: u8, blue: u8) -> f32 {
    let sum = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    sum as f32 / 1000.0
}

/// The matrix that shrinks `side` pixels to 8: each row averages the pixels that fall into its
/// eighth, a pixel on the border counting for both in proportion.
fn averages(side: usize) -> Array2<f32> {
    Array2::from_shape_fn((SIDE, side), |(eighth, pixel)| {
        // In units of an eighth of a pixel all borders are whole numbers.
        let start = usize::max(eighth * side, pixel * SIDE);
        let end = usize::min((eighth + 1) * side, (pixel + 1) * SIDE);
        end.saturating_sub(start) as f32 / side as f32
    })
}

#[cfg(test)]
mod tests;
