use super::*;
use crate::{Method, Request};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";

fn request(content_type: &str, body: impl Into<Bytes>) -> Request {
    Request::new(Method::Invite, "sip:romeo@example.net".parse().unwrap())
        .with_body(content_type, body)
}

fn types(request: &Request) -> Vec<String> {
    let parts = request.parts().unwrap();
    parts.iter().map(|p| p.content_type().to_string()).collect()
}

/// SIP-19. A session description is found wherever it lies.
#[test]
fn session_descriptions_are_found_in_multiparts() {
    let plain = request("Application/SDP", SDP);
    assert_eq!(plain.part("application/sdp").unwrap().body, SDP);
    for kind in ["mixed", "related", "alternative", "x-unknown"] {
        let body = format!(
            "a preamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b1 \r\nc: application/sdp\r\n\
             Content-Disposition: session\r\n\r\n{SDP}\r\n--b1--\r\nan epilogue"
        );
        let request = request(&format!("multipart/{kind};boundary=b1"), body);
        assert_eq!(request.part("application/sdp").unwrap().body, SDP, "{kind}");
        assert_eq!(request.part("text/plain").unwrap().body, "hi");
        assert_eq!(request.part("text/html"), None);
    }
    let nested = format!(
        "--out\n\nno fields\n--out\nContent-Type: multipart/alternative;\n boundary=\"in side\"\n\n\
         --in side\nContent-Type: application/sdp\n\n{SDP}\n--in side--\n--out\nContent-Type: image/png\n\n\
         --in side\n--out--"
    );
    let nested = request("multipart/mixed;boundary=\"out\"", nested);
    assert_eq!(
        types(&nested),
        ["text/plain", "application/sdp", "image/png"]
    );
    let parts = nested.parts().unwrap();
    assert_eq!(parts[1].body, SDP);
    assert_eq!(parts[2].body, "--in side");
}

/// Bodies are bytes, and what looks like a boundary in the middle of a line is none.
#[test]
fn contents_are_kept_byte_for_byte() {
    let body = b"--b\r\n\r\n\xff\x00 --b\r\n--bb\r\n\r\n\r\n--b\r\n\r\n--b--".to_vec();
    let parts = request("multipart/mixed;boundary=b", body).parts().unwrap();
    assert_eq!(parts[0].body, &b"\xff\x00 --b\r\n--bb\r\n\r\n"[..]);
    assert_eq!(parts[1].body, "");
    assert!(request("multipart/mixed", "").parts().unwrap().is_empty());
}

#[test]
fn multiparts_without_their_parts() {
    let many = format!("{}--b--", "--b\n\nx\n".repeat(MOST_PARTS + 1));
    let mut deep = "x".to_owned();
    for depth in 0..=DEEPEST {
        let inner = if depth == 0 {
            "text/plain".to_owned()
        } else {
            format!("multipart/mixed;boundary=b{}", depth - 1)
        };
        deep = format!("--b{depth}\nContent-Type: {inner}\n\n{deep}\n--b{depth}--");
    }
    for (content_type, body, expected) in [
        (
            "multipart/mixed",
            "--b\n\nx\n--b--",
            MultipartError::NoBoundary,
        ),
        (
            "multipart/mixed;boundary=\"\"",
            "--\n\nx\n----",
            MultipartError::NoBoundary,
        ),
        ("multipart/mixed;boundary=b", "x", MultipartError::Unbounded),
        (
            "multipart/mixed;boundary=b",
            "--b\n\nx\n",
            MultipartError::Unbounded,
        ),
        (
            "multipart/mixed;boundary=b",
            "--b--",
            MultipartError::Unbounded,
        ),
        ("multipart/mixed;boundary=b", &many, MultipartError::TooMany),
        (
            &format!("multipart/mixed;boundary=b{DEEPEST}"),
            &deep,
            MultipartError::TooMany,
        ),
    ] {
        let request = request(content_type, body.to_owned());
        assert_eq!(request.parts(), Err(expected), "{body}");
        assert_eq!(request.part("text/plain"), None);
    }
}

/// SIP-19. What is optional may be of any kind; of alternatives one is enough; of what belongs together the root decides.
#[test]
fn what_must_be_understood() {
    let accepted = ["application/sdp".to_owned(), "text/plain".to_owned()];
    let sdp = "Content-Type: application/sdp\r\n\r\nv=0";
    let photo = "Content-Type: image/png\r\nContent-ID: <photo@x>\r\n\r\npng";
    let optional =
        "Content-Type: image/png\r\nContent-Disposition: icon;handling=OPTIONAL\r\n\r\npng";
    let required =
        "Content-Type: image/png\r\nContent-Disposition: render; handling=required\r\n\r\npng";
    let zipped = "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\nzip";
    let as_it_is = "Content-Type: text/plain\r\nContent-Encoding: Identity\r\n\r\nx";
    for (kind, parts, expected) in [
        ("mixed", vec![sdp, as_it_is], Ok(())),
        ("mixed", vec![sdp, optional], Ok(())),
        ("mixed", vec![sdp, required], Err(BodyFault::Type)),
        ("mixed", vec![sdp, photo], Err(BodyFault::Type)),
        ("mixed", vec![sdp, zipped], Err(BodyFault::Encoding)),
        ("alternative", vec![photo, sdp], Ok(())),
        ("alternative", vec![photo, required], Err(BodyFault::Type)),
        ("related", vec![sdp, photo], Ok(())),
        ("related", vec![photo, sdp], Err(BodyFault::Type)),
        (
            "related;start=\"<photo@x>\"",
            vec![sdp, photo],
            Err(BodyFault::Type),
        ),
    ] {
        let mut body = String::new();
        for part in &parts {
            body += &format!("--b\r\n{part}\r\n");
        }
        let request = request(&format!("multipart/{kind};boundary=b"), body + "--b--");
        let found = check(&request.headers, &request.body, &accepted);
        assert_eq!(found, expected, "{kind} {parts:?}");
    }
    let png = request("image/png", "png");
    assert_eq!(
        check(&png.headers, &png.body, &accepted),
        Err(BodyFault::Type)
    );
    assert_eq!(check(&png.headers, &png.body, &[]), Ok(()));
    let ignored = png.with_header(Name::ContentDisposition, "icon;handling=optional");
    assert_eq!(check(&ignored.headers, &ignored.body, &accepted), Ok(()));
}
