use png::{BitDepth, ColorType, Encoder};

use super::*;

/// A PNG of one colour type, depth and content.
fn png(width: u32, height: u32, color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
    png_with(width, height, color, depth, data, |_| ())
}

fn png_with(
    width: u32,
    height: u32,
    color: ColorType,
    depth: BitDepth,
    data: &[u8],
    more: impl Fn(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    more(&mut encoder);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(data)
        .unwrap();
    file
}

fn pixels(file: &[u8]) -> Vec<f32> {
    read(file).unwrap().into_iter().collect()
}

/// 64 copies of a pixel.
fn plain(pixel: &[u8]) -> Vec<u8> {
    pixel.repeat(64)
}

#[test]
fn small_pictures_are_taken_as_they_are() {
    let levels: Vec<u8> = (0..64).map(|level| level * 4).collect();
    let file = png(8, 8, ColorType::Grayscale, BitDepth::Eight, &levels);
    let expected = levels
        .iter()
        .map(|&level| f32::from(level) * (16.0 / 255.0));
    assert_eq!(pixels(&file), expected.collect::<Vec<f32>>());
}

#[test]
fn every_kind_of_png_is_read() {
    let half = 16.0 * 128.0 / 255.0;
    let palette = |encoder: &mut Encoder<&mut Vec<u8>>| {
        encoder.set_palette([0, 0, 0, 128, 128, 128].as_slice());
    };
    for (name, file, brightness) in [
        (
            "gray",
            png(8, 8, ColorType::Grayscale, BitDepth::Eight, &plain(&[128])),
            half,
        ),
        (
            "1 bit",
            png(8, 8, ColorType::Grayscale, BitDepth::One, &[0xff; 8]),
            16.0,
        ),
        (
            "16 bits",
            png(
                8,
                8,
                ColorType::Grayscale,
                BitDepth::Sixteen,
                &plain(&[128, 7]),
            ),
            half,
        ),
        (
            "gray, alpha",
            png(
                8,
                8,
                ColorType::GrayscaleAlpha,
                BitDepth::Eight,
                &plain(&[255, 128]),
            ),
            half,
        ),
        (
            "colour",
            png(8, 8, ColorType::Rgb, BitDepth::Eight, &plain(&[128; 3])),
            half,
        ),
        (
            "green",
            png(8, 8, ColorType::Rgb, BitDepth::Eight, &plain(&[0, 255, 0])),
            16.0 * 0.587,
        ),
        (
            "clear",
            png(
                8,
                8,
                ColorType::Rgba,
                BitDepth::Eight,
                &plain(&[255, 255, 255, 0]),
            ),
            0.0,
        ),
        (
            "palette",
            png_with(8, 8, ColorType::Indexed, BitDepth::One, &[0xff; 8], palette),
            half,
        ),
    ] {
        for pixel in pixels(&file) {
            assert!(
                (pixel - brightness).abs() < 1e-4,
                "{name}: {pixel}, {brightness}"
            );
        }
    }
}

#[test]
fn large_pictures_shrink_by_averages() {
    // Columns that alternate between black and white, two to an eighth.
    let stripes: Vec<u8> = [0, 255].repeat(8 * 16);
    let file = png(16, 16, ColorType::Grayscale, BitDepth::Eight, &stripes);
    assert!(pixels(&file).iter().all(|pixel| (pixel - 8.0).abs() < 1e-4));

    // Nine columns, the first one white: 8/9 of the first eighth's width of 9/8.
    let column = [255, 0, 0, 0, 0, 0, 0, 0, 0].repeat(9);
    let file = png(9, 9, ColorType::Grayscale, BitDepth::Eight, &column);
    let first_line = [16.0 * 8.0 / 9.0, 0.0, 0.0];
    for (pixel, expected) in pixels(&file).iter().zip(first_line) {
        assert!((pixel - expected).abs() < 1e-4, "{pixel}, {expected}");
    }

    let white = vec![255; 512 * 512];
    let file = png(512, 512, ColorType::Grayscale, BitDepth::Eight, &white);
    assert!(
        pixels(&file)
            .iter()
            .all(|&pixel| (15.99..=16.0).contains(&pixel))
    );
}

#[test]
fn the_size_is_checked() {
    for (width, height) in [(8, 9), (7, 7), (513, 513), (16, 8)] {
        let data = vec![0; (width * height) as usize];
        let file = png(width, height, ColorType::Grayscale, BitDepth::Eight, &data);
        let error = read(&file).unwrap_err();
        let message =
            format!("the picture has {width}x{height} pixels: send a square of 8x8 to 512x512");
        assert_eq!((error.status(), error.message()), (400, message.as_str()));
    }
}

/// A file of a few bytes that claims to hold 65,535 x 65,535 pixels is refused by its header.
#[test]
fn bombs_are_refused_before_they_are_decoded() {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 65_535, 65_535);
    encoder.set_color(ColorType::Rgba);
    drop(encoder.write_header().unwrap());
    let error = read(&file).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("the picture has 65535x65535 pixels"),
        "{error}"
    );
}

#[test]
fn broken_files_are_refused() {
    let file = png(8, 8, ColorType::Grayscale, BitDepth::Eight, &[255; 64]);
    for length in 0..file.len() - 12 {
        let error = read(&file[..length]).unwrap_err();
        assert_eq!(error.status(), 400, "{length}: {error}");
    }
    for position in 0..file.len() {
        let mut broken = file.clone();
        broken[position] ^= 0x55;
        // Some changes go unnoticed, none panics.
        let _ = read(&broken);
    }
}
