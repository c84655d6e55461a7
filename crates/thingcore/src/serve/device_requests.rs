//! HTTPS requests of device endpoints: the gateway has them, the API answers them.

use access::HttpsGuest;
use api::DeviceApi;
use gateway::{Answering, Requests};
use http::Request;
use hyper::body::Incoming;

/// Hands them over.
pub struct DeviceRequests(pub DeviceApi);

impl Requests for DeviceRequests {
    fn answer<'a>(&'a self, request: Request<Incoming>, guest: &'a HttpsGuest) -> Answering<'a> {
        Box::pin(self.0.answer(request, guest))
    }
}
