//! A listener that accepts or inspects connections while it closes and while clients come and go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsk::events::{AcceptEvent, Incoming};
use wsk::operation::InFlight;
use wsk::request::{Accepting, Connecting, NewConnection, OpeningConnected};
use wsk::{ConnectedSocket, ConnectionSocket, Error, Family, ListenSocket, Provider};
use wsk_schedules::{Dice, LOOPBACK, until};

use crate::underway::{Told, act, anywhere, at_once, closed, exchange, plausible};

enum Held {
    Accept(InFlight<Accepting, NewConnection>),
    Open(InFlight<OpeningConnected, NewConnection>),
    Connect(InFlight<Connecting, ConnectionSocket>),
    Socket(ConnectedSocket),
}

/// Accepts some connections, and rejects the others.
struct Porter {
    dice: Mutex<Dice>,
    accepted: Arc<Mutex<Vec<ConnectedSocket>>>,
}

impl AcceptEvent for Porter {
    fn accepted(&self, incoming: Incoming<'_>) {
        if self.dice.lock().unwrap().below(3) == 0 {
            return;
        }
        let socket = incoming.accept().unwrap();
        self.accepted.lock().unwrap().push(socket);
    }
}

pub(crate) fn schedule(dice: &mut Dice, provider: &Provider) {
    let accepted: Arc<Mutex<Vec<_>>> = Arc::default();
    let with_events = dice.toss();
    let listener = if with_events {
        let porter = Porter {
            dice: Mutex::new(Dice::new(dice.throw())),
            accepted: accepted.clone(),
        };
        ListenSocket::open_with_events(provider, Family::V4, porter).unwrap()
    } else {
        ListenSocket::open(provider, Family::V4).unwrap()
    };
    listener
        .bind(LOOPBACK.parse::<std::net::SocketAddr>().unwrap())
        .unwrap();
    let local = listener.local_address().unwrap();
    let table = Mutex::default();
    let told: Arc<Told> = Arc::default();
    let threads = 2 + dice.index(2);
    let actor = |_| Actor {
        provider,
        listener: Some(listener.clone()),
        local,
        with_events,
        table: &table,
        accepted: &accepted,
        told: &told,
        dice: Dice::new(dice.throw()),
        held: Vec::new(),
    };
    let actors = (0..threads).map(actor).collect();
    at_once(actors, |mut actor| actor.run(), || drop(listener));
    drop(table);
    told.settle();
    until("the end of the listener", || {
        accepted.lock().unwrap().clear();
        Arc::strong_count(&accepted) == 1
    });
}

/// One thread of a schedule.
struct Actor<'c> {
    provider: &'c Provider,
    listener: Option<ListenSocket>,
    local: std::net::SocketAddr,
    with_events: bool,
    /// Moves operations from thread to thread.
    table: &'c Mutex<Vec<Held>>,
    accepted: &'c Mutex<Vec<ConnectedSocket>>,
    told: &'c Arc<Told>,
    dice: Dice,
    held: Vec<Held>,
}

impl Actor<'_> {
    fn run(&mut self) {
        for _ in 0..3 + self.dice.below(6) {
            self.step();
        }
        if self.dice.toss() {
            self.listener = None;
        }
        while let Some(held) = self.held.pop() {
            anywhere(&mut self.dice, || drop(held));
        }
    }

    fn step(&mut self) {
        match self.dice.below(14) {
            0..=3 => {
                let started = self.start();
                self.held.extend(started);
            }
            4..=6 => self.act(),
            7 => {
                let mine = self.held.pop();
                self.held.extend(exchange(self.table, mine));
            }
            8 => self.accept(),
            9 => self.events(),
            10 => self.leave(),
            11 => self.scope(),
            12 => self.tell(),
            _ => drop(self.held.pop()),
        }
    }

    fn start(&mut self) -> Option<Held> {
        let (provider, local) = (self.provider, self.local);
        match self.dice.below(4) {
            0 => {
                let open = || ConnectedSocket::connect(provider, local).start();
                Some(Held::Open(anywhere(&mut self.dice, open).unwrap()))
            }
            1 => {
                let socket = ConnectionSocket::open(provider, Family::V4).unwrap();
                socket.bind(Family::V4.any()).unwrap();
                let connect = || socket.connect(local).start();
                Some(Held::Connect(anywhere(&mut self.dice, connect).unwrap()))
            }
            _ => {
                let listener = self.listener.clone()?;
                let accept = || listener.accept().start();
                Some(Held::Accept(anywhere(&mut self.dice, accept).unwrap()))
            }
        }
    }

    /// Does something with one of the operations.
    fn act(&mut self) {
        let dice = &mut self.dice;
        let left = match self.held.pop() {
            None => return,
            Some(Held::Accept(accept)) => match act(dice, accept, false) {
                Ok(end) => end
                    .and_then(plausible)
                    .map(|(socket, _)| Held::Socket(socket)),
                Err(accept) => Some(Held::Accept(accept)),
            },
            Some(Held::Open(open)) => match act(dice, open, false) {
                Ok(end) => end.and_then(plausible).map(Held::Socket),
                Err(open) => Some(Held::Open(open)),
            },
            Some(Held::Connect(connect)) => match act(dice, connect, false) {
                Ok(end) => end
                    .and_then(|end| {
                        plausible(end.map_err(|not_connected| {
                            assert!(not_connected.socket.is_some(), "the socket comes back");
                            Error::from(not_connected)
                        }))
                    })
                    .map(Held::Socket),
                Err(connect) => Some(Held::Connect(connect)),
            },
            Some(Held::Socket(socket)) => {
                if dice.toss() {
                    assert_eq!(socket.close(), Ok(()));
                } else {
                    anywhere(dice, || drop(socket));
                }
                None
            }
        };
        self.held.extend(left);
    }

    /// The blocking call.
    fn accept(&mut self) {
        let Some(listener) = self.listener.clone() else {
            return;
        };
        let limit = Duration::from_micros(self.dice.below(400));
        let accepted = plausible(listener.accept().wait_timeout(limit));
        self.held
            .extend(accepted.map(|(socket, _)| Held::Socket(socket)));
    }

    /// A scope that connects and accepts, and waits for both.
    fn scope(&mut self) {
        let Some(listener) = self.listener.clone() else {
            return;
        };
        let (provider, local, wait) = (self.provider, self.local, self.dice.toss());
        let sockets = wsk::scope(|s| {
            let accept = listener.accept().start_in(s).unwrap();
            let connect = ConnectedSocket::connect(provider, local).start_in(s);
            let connect = connect.unwrap();
            let mut sockets = Vec::new();
            if wait {
                sockets.extend(plausible(connect.wait()));
            }
            accept.cancel();
            if wait {
                sockets.extend(plausible(accept.wait()).map(|(socket, _)| socket));
            }
            sockets
        });
        self.held
            .extend(sockets.unwrap().into_iter().map(Held::Socket));
    }

    /// Connects and accepts with closures, which drop the results.
    fn tell(&mut self) {
        let (provider, local) = (self.provider, self.local);
        let told = self.told.one(|end| drop(plausible(end)));
        let connect = || ConnectedSocket::connect(provider, local).start_with(told);
        anywhere(&mut self.dice, connect).unwrap();
        if let Some(listener) = self.listener.clone() {
            let told = self.told.one(|end| drop(plausible(end)));
            let accept = || listener.accept().start_with(told);
            anywhere(&mut self.dice, accept).unwrap();
        }
    }

    fn events(&mut self) {
        if let (true, Some(listener)) = (self.with_events, self.listener.clone()) {
            if self.dice.toss() {
                listener.enable_accept_events().unwrap();
            } else {
                listener.disable_accept_events().unwrap();
            }
        }
        let accepted = self.accepted.lock().unwrap().pop();
        self.held.extend(accepted.map(Held::Socket));
    }

    /// Drops a handle of the listener.
    fn leave(&mut self) {
        match (self.listener.take(), self.dice.toss()) {
            (Some(listener), true) => closed(listener.close()),
            (listener, _) => anywhere(&mut self.dice, || drop(listener)),
        }
    }
}
