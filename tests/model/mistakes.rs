/// A place in the sources of `wsk` at which mistakes can be made: `made("…")` asks for one by its name.
struct Place {
    file: &'static str,
    right: &'static str,
    with: &'static str,
}

const PLACES: &[Place] = &[
    Place {
        file: "irp/state.rs",
        right: "self.word.load(Ordering::Acquire) == COMPLETED",
        with: r#"self.word.load(if made("looking_without_acquire") { Ordering::Relaxed } else { Ordering::Acquire }) == COMPLETED"#,
    },
    Place {
        file: "irp/state.rs",
        right: ".compare_exchange(IN_FLIGHT, COMPLETED, Ordering::AcqRel, Ordering::Acquire)",
        with: r#".compare_exchange(
            IN_FLIGHT,
            COMPLETED,
            if made("publishing_without_release") { Ordering::Acquire } else { Ordering::AcqRel },
            if made("taking_over_without_acquire") { Ordering::Relaxed } else { Ordering::Acquire },
        )"#,
    },
    Place {
        file: "irp/state.rs",
        right: "Ok(_) => Notify::Nobody,",
        with: r#"Ok(_) => if made("event_for_nobody") { Notify::Event } else { Notify::Nobody },"#,
    },
    Place {
        file: "irp/state.rs",
        right: "self.step(IN_FLIGHT, DETACHED) || self.step(WAKING, WAKING_DETACHED)",
        with: r#"!made("in_flight_not_left")
            && (self.step(IN_FLIGHT, DETACHED)
                || !made("waking_not_left") && self.step(WAKING, WAKING_DETACHED))"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "header.event.wait(may_wait, None);",
        with: r#"if !made("event_not_awaited") { header.event.wait(may_wait, None); }"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "header.event.clear();",
        with: r#"if !made("event_not_cleared") { header.event.clear(); }"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "return place.announce();",
        with: r#"return if made("not_announced_again") { None } else { place.announce() };"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "let mut place = match self.retract() {
            Retracted::Completed(_) =>",
        with: r#"let mut place = match if made("waker_not_retracted") {
            Retracted::InFlight(unsafe { core::mem::transmute(header) })
        } else {
            self.retract()
        } {
            Retracted::Completed(_) =>"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "        let mut before = None;
        if !is_same {",
        with: r#"        let mut before = None;
        let early = made("waker_announced_early") && header.state.wake();
        if !is_same {"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "let polled = if let Some(mut place) = announcing.announce() {",
        with: "let polled = if let Some(mut place) = (if early { announcing.0 = None; None } else { announcing.announce() }) {",
    },
    Place {
        file: "irp/flight.rs",
        right: "waker.wake_by_ref();",
        with: r#"if !made("another_waker_not_woken") { waker.wake_by_ref(); }"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "        drop(place.take());
        true",
        with: r#"        if !made("waker_left_by_waiting") { drop(place.take()); }
        true"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "unused = place.take();",
        with: r#"unused = if made("waker_left_by_polling") { None } else { place.take() };"#,
    },
    Place {
        file: "irp/block.rs",
        right: "Retracted::Waking(_) => None,",
        with: r#"Retracted::Waking(_) => None,
            _ if made("waker_left_by_leaving") => None,"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "            self.cancel();
            waker
        };
        self.detach();",
        with: r#"            if !made("cancelled_after_leaving") { self.cancel(); }
            waker
        };
        let late = (made("cancelled_after_leaving") && !self.is_completed()).then(|| self.as_raw());
        self.detach();
        if let Some(flight) = late { unsafe { Flight::<()>::from_raw(flight) }.cancel(); }"#,
    },
    Place {
        file: "irp/flight.rs",
        right: "        let (back, waker) = self.take_or_detach();
",
        with: r#"        let again = made("given_back_twice").then(|| self.as_raw());
        let (mut back, waker) = self.take_or_detach();
        if let Some(flight) = again.filter(|_| back.is_none()) {
            back = Some(unsafe { core::mem::transmute_copy(&flight) });
        }
"#,
    },
    Place {
        file: "irp/routine.rs",
        right: "    let waker = waking.take();
    if let Some(completed) = waking.done() {
        completed.discard();
    }",
        with: r#"    let late = made("waker_taken_late");
    let mut again = unsafe { core::ptr::read(&waking) };
    let mut waker = None;
    if !late { waker = waking.take(); }
    if let Some(completed) = waking.done() {
        completed.discard();
    }
    if late { waker = again.take(); }"#,
    },
    Place {
        file: "irp/routine.rs",
        right: "        let observer = block.take_observer();
        let status = block.status();
        let published = block.publish();",
        with: r#"        let late = made("observer_read_late");
        let mut again = unsafe { core::ptr::read(&block) };
        let mut observer = None;
        if !late { observer = block.take_observer(); }
        let status = block.status();
        let published = block.publish();
        if late { observer = again.take_observer(); }"#,
    },
    Place {
        file: "operation/carried.rs",
        right: "        let (_, carried) = this.parts();
        O::unread(outcome, carried);
",
        with: r#"        if made("operation_given_back_early") {
            let place = this.load.place();
            unsafe {
                drop(core::ptr::read(&raw const this.load.operation));
                wsk_sys::mistake::pause();
                O::unread(outcome, &mut *place.as_ptr());
                place.drop_in_place();
            }
            core::mem::forget(this);
            return;
        }
        let (_, carried) = this.parts();
        O::unread(outcome, carried);
"#,
    },
    Place {
        file: "operation/callback.rs",
        right: "        completion(O::Way::finished(result, Some(carried)));
",
        with: r#"        let finished = O::Way::finished(result, Some(carried));
        if made("told_after_giving_back") {
            H::give_back(operation);
            completion(finished);
            return;
        }
        completion(finished);
"#,
    },
    Place {
        file: "operation/prepared.rs",
        right: "        drop(prepared);
        held.notify",
        with: r#"        let slot = prepared.slot;
        drop(prepared);
        if made("slot_touched_after_giving_back") {
            slot.parameters.with_mut(|_| ());
        }
        held.notify"#,
    },
    Place {
        file: "operation/prepared.rs",
        right: "        if prepared.is_abandoned() {",
        with: r#"        if prepared.is_abandoned() && made("not_taken_up_again") {
            prepared.slot.give_back();
            core::mem::forget(prepared);
            held.notify(wsk_sys::STATUS_SUCCESS);
            return;
        }
        if prepared.is_abandoned() {"#,
    },
    Place {
        file: "operation/scope.rs",
        right: "    pending.count.fetch_add(1, Ordering::Relaxed);
    // SAFETY: counted, this once.",
        with: r#"    if !made("not_counted") { pending.count.fetch_add(1, Ordering::Relaxed); }"#,
    },
    Place {
        file: "socket/open.rs",
        right: "        let shared = self.clone();
        let more = |handles: usize| handles.checked_add(handle).filter(|_| clients(handles) > 0);
        shared
            .handles",
        with: r#"        let more = |handles: usize| handles.checked_add(handle).filter(|_| clients(handles) > 0);
        if made("handle_counted_first") {
            self.handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
            return Some(self.clone());
        }
        let shared = self.clone();
        shared
            .handles"#,
    },
    Place {
        file: "memory/stack.rs",
        right: "changed(head, next | awaited);",
        with: r#"if made("changes_not_counted") {
                changed(u64::MAX, next | awaited)
            } else {
                changed(head, next | awaited)
            };"#,
    },
    Place {
        file: "memory/stack.rs",
        right: "changed(head, (index + 1) | awaited);",
        with: r#"if made("changes_not_counted") {
                changed(u64::MAX, (index + 1) | awaited)
            } else {
                changed(head, (index + 1) | awaited)
            };"#,
    },
    Place {
        file: "memory/stack.rs",
        right: ".compare_exchange_weak(head, new, Ordering::SeqCst, Ordering::Relaxed)",
        with: r#".compare_exchange_weak(
                    head,
                    new,
                    if made("slot_without_release") { Ordering::Relaxed } else { Ordering::SeqCst },
                    Ordering::Relaxed,
                )"#,
    },
    Place {
        file: "memory/arena.rs",
        right: "        arena.stack.set_awaited(true);
        let deadline",
        with: r#"        if !made("waiter_counted_late") { arena.stack.set_awaited(true); }
        let deadline"#,
    },
    Place {
        file: "memory/arena.rs",
        right: "            let told = match other {",
        with: r#"            if made("waiter_counted_late") { arena.stack.set_awaited(true); }
            let told = match other {"#,
    },
    Place {
        file: "memory/arena.rs",
        right: "        arena.announce();
        seen",
        with: r#"        if !made("not_passed_on") { arena.announce(); }
        seen"#,
    },
    Place {
        file: "memory/arena.rs",
        right: "        self.idle.set();",
        with: r#"        if !made("idle_not_told") { self.idle.set(); }"#,
    },
    Place {
        file: "memory/arena.rs",
        right: "Self::count_off(this, missing)",
        with: r#"Self::count_off(this, if made("missing_not_counted") { 0 } else { missing })"#,
    },
    Place {
        file: "memory/pool.rs",
        right: "self.references().fetch_sub(1, Ordering::Release) == 1",
        with: r#"self.references().fetch_sub(1, if made("reference_without_release") { Ordering::Relaxed } else { Ordering::Release }) == 1"#,
    },
    // Loom's atomics can't be made by a constant function.
    Place {
        file: "memory/pool.rs",
        right: "pub(crate) const fn new() -> Self {",
        with: "pub(crate) fn new() -> Self {",
    },
    Place {
        file: "driver_state.rs",
        right: "pub const fn new() -> Self {",
        with: "pub fn new() -> Self {",
    },
    Place {
        file: "memory/pool.rs",
        right: "if !self.end_use() {",
        with: r#"if !self.end_use() && !made("uses_not_awaited") {"#,
    },
    Place {
        file: "memory/pool.rs",
        right: ".then(|| word - FULL + LEAVING + USE);",
        with: r#".then(|| if made("taken_without_a_use") { word - FULL + LEAVING } else { word - FULL + LEAVING + USE });"#,
    },
    Place {
        file: "memory/pool.rs",
        right: "(word & PHASE == FULL && word < MOST_USES).then(|| word + USE);",
        with: r#"((word & PHASE == FULL || made("used_while_taken") && word & PHASE == LEAVING) && word < MOST_USES).then(|| word + USE);"#,
    },
    Place {
        file: "memory/pool.rs",
        right: "self.word.fetch_sub(USE, Ordering::AcqRel) == LEAVING + USE",
        with: r#"self.word.fetch_sub(USE, if made("use_ended_without_release") { Ordering::Acquire } else { Ordering::AcqRel }) == LEAVING + USE"#,
    },
    Place {
        file: "memory/pool.rs",
        right: "self.word.store(FULL, Ordering::Release);",
        with: r#"self.word.store(FULL, if made("put_without_release") { Ordering::Relaxed } else { Ordering::Release });"#,
    },
];
