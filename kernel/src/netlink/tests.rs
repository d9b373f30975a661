//! The wire, written and read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;

#[test]
fn nested_attributes_carry_their_length_and_padding() {
    let message = Message::new(16, 5).body(&[1, 2, 3, 4]).nest(18 | NESTED, |m| m.attr_str(1, "veth"));
    let expected: &[u8] = &[
        36, 0, 0, 0, 16, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, // header, body
        16, 0, 18, 0x80, 9, 0, 1, 0, b'v', b'e', b't', b'h', 0, 0, 0, 0,
    ];
    assert_eq!(message.as_bytes(), expected);
    let reply = replies(message.as_bytes()).next().unwrap();
    let nested = attribute(&reply.payload[4..], 18).unwrap();
    assert_eq!(text(attribute(nested, 1).unwrap()), "veth");
}

#[test]
fn an_acknowledgement_carries_the_errno_and_the_kernel_s_words() {
    let refused = Message::new(ERROR, CAPPED | ACK_ATTRIBUTES)
        .body(&(-17_i32).to_ne_bytes())
        .body(&[0; HEADER])
        .attr_str(ACK_TEXT, "name is taken");
    let reply = replies(refused.as_bytes()).next().unwrap();
    let note = Some("name is taken".to_owned());
    assert_eq!(reply.outcome(), Some(Outcome { errno: Some(Errno::EXIST), note }));

    let uncapped = Message::new(ERROR, ACK_ATTRIBUTES)
        .body(&(-1_i32).to_ne_bytes())
        .body(Message::new(16, 5).body(&[9; 20]).as_bytes())
        .attr_str(ACK_TEXT, "no");
    let outcome = replies(uncapped.as_bytes()).next().unwrap().outcome();
    assert_eq!(outcome, Some(Outcome { errno: Some(Errno::PERM), note: Some("no".to_owned()) }));
}

#[test]
fn success_and_the_end_of_a_dump_are_outcomes_without_errno() {
    let fine = Outcome { errno: None, note: None };
    let ack = Message::new(ERROR, CAPPED).body(&[0; 4 + HEADER]);
    assert_eq!(replies(ack.as_bytes()).next().unwrap().outcome(), Some(fine.clone()));
    let done = Message::new(DONE, 2).body(&[0; 4]);
    assert_eq!(replies(done.as_bytes()).next().unwrap().outcome(), Some(fine));
    let link = Message::new(16, 2).body(&[0; 16]);
    assert_eq!(replies(link.as_bytes()).next().unwrap().outcome(), None);
}

#[test]
fn truncated_replies_end_the_iteration() {
    let message = Message::new(16, 5).attr_u32(1, 7);
    let bytes = message.as_bytes();
    for cut in 0..bytes.len() {
        assert_eq!(replies(&bytes[..cut]).count(), 0, "cut at {cut}");
    }
    assert_eq!(attributes(&[200, 0, 1, 0, 0]).count(), 0);
    assert_eq!(attributes(&[0, 0, 1, 0]).count(), 0, "a length of nothing must not loop");
}
