#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stox_sip_fuzz::conference::run(data));
