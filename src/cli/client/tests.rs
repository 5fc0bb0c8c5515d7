//! What is sent, over a socket.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// The first connection is closed once the request is there; the second is answered.
#[tokio::test]
async fn a_verb_whose_answer_is_lost_is_sent_again_by_the_same_key() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = async {
        let mut keys = Vec::new();
        for answers in [false, true] {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert!(socket.read_buf(&mut request).await.unwrap() > 0);
            }
            let request = String::from_utf8(request).unwrap();
            let key = request
                .lines()
                .find(|it| it.starts_with("idempotency-key: "));
            keys.push(key.unwrap().to_owned());
            if answers {
                let body = r#"{"message":"next is paused"}"#;
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        keys
    };
    let client = Client::new(&url, "ada").unwrap();
    let payload = Payload::Json("{}".to_owned());
    let asked = client.carry_out(Method::POST, "/v1/rollouts/next/pause", payload);
    let (answer, keys) = tokio::join!(asked, heard);
    assert_eq!(answer.unwrap().message, "next is paused");
    assert_eq!(keys[0], keys[1]);
}
