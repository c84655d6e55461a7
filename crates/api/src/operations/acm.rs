//! Imported certificates. ACM calls them as IoT calls those of devices; behind the table they have names of their own.

use super::{Entry, built};

pub(super) const BUILT: &[Entry] = built![Acm by access:
    DeleteCertificate => delete_server_certificate,
    DescribeCertificate => describe_server_certificate,
    GetCertificate => get_server_certificate,
    ImportCertificate => import_server_certificate,
    ListCertificates => list_server_certificates,
    ListTagsForCertificate => list_tags_for_server_certificate,
];
