#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stox_msrp_fuzz::documents::run_imdn(data));
