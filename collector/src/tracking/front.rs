// SPDX-License-Identifier: GPL-3.0-or-later
//! The service in front of the router: answers pixels and tracked links, and passes everything else on.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_http::{Request, Response, body::BoxBody};
use actix_web::dev::{AppConfig, Service, ServiceFactory};

use super::{Tracking, is_tracking};

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// Makes the front of each worker thread, around the application behind it.
pub struct Front<A, T> {
    app: A,
    tracking: T,
}

/// The front of one worker thread.
pub struct FrontService<S> {
    app: S,
    tracking: Rc<Tracking>,
}

impl<A, T> Front<A, T> {
    /// Puts a front before an application; `tracking` is called in the worker thread.
    pub fn new(app: A, tracking: T) -> Self {
        Self { app, tracking }
    }
}

impl<A, T, R> ServiceFactory<Request> for Front<A, T>
where
    A: ServiceFactory<Request, Config = AppConfig>,
    A::Service: 'static,
    A::Future: 'static,
    A::InitError: 'static,
    R: Into<Response<BoxBody>> + 'static,
    A: ServiceFactory<Request, Response = R>,
    T: Fn() -> Tracking,
{
    type Response = Response<BoxBody>;
    type Error = A::Error;
    type Config = AppConfig;
    type Service = FrontService<A::Service>;
    type InitError = A::InitError;
    type Future = Boxed<Result<Self::Service, Self::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let app = self.app.new_service(config);
        let tracking = Rc::new((self.tracking)());
        Box::pin(async move {
            Ok(FrontService {
                app: app.await?,
                tracking,
            })
        })
    }
}

impl<S> Service<Request> for FrontService<S>
where
    S: Service<Request>,
    S::Future: 'static,
    S::Response: Into<Response<BoxBody>>,
{
    type Response = Response<BoxBody>;
    type Error = S::Error;
    type Future = Boxed<Result<Self::Response, S::Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.app.poll_ready(context)
    }

    fn call(&self, request: Request) -> Self::Future {
        if is_tracking(request.path()) {
            let tracking = Rc::clone(&self.tracking);
            return Box::pin(async move { Ok(tracking.answer(request.head()).await) });
        }
        let answer = self.app.call(request);
        Box::pin(async move { answer.await.map(Into::into) })
    }
}
