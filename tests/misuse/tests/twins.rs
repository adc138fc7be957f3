//! The right forms of the programs that do not compile: they do, and run on the host kernel without breaking a rule or leaving
//! anything behind.

use wsk_misuse::on_each_machine;

/// The programs, each with what it is run with: a bound socket, or the provider to open one.
macro_rules! twins {
    ($($name:ident($what:ident),)*) => {
        #[allow(clippy::unnecessary_wraps, reason = "all are called in one way")]
        mod twins {
            $(pub(crate) mod $name;)*
        }

        $(#[test]
        fn $name() {
            on_each_machine(|machine| twins::$name::program(&machine.$what, machine.to));
        })*
    };
}

twins! {
    buffer_without_a_promise(socket),
    bytes_that_may_move(socket),
    chain_of_borrowed_buffers(socket),
    chain_of_shared_received_into(socket),
    chain_of_the_stack_started(socket),
    chain_part_sent_by_itself(socket),
    chain_part_written(socket),
    chain_receives_twice_into_one(socket),
    chain_taken_apart(socket),
    chains_over_one_mdl(socket),
    control_dropped_while_read(socket),
    control_raw_without_unsafe(socket),
    driver_mdl_shared(socket),
    driver_mdl_without_unsafe(socket),
    extent_of_a_temporary_lock(socket),
    extent_without_unsafe(socket),
    handler_borrows(provider),
    handler_changes_itself(provider),
    handler_missing(provider),
    handler_not_sync(provider),
    indicated_bytes_stored(provider),
    indicated_datagram_used_after_retain(provider),
    indication_stored(provider),
    ioctl_made_up(socket),
    lock_made_up(socket),
    lock_outlives_the_buffer(socket),
    locked_to_receive_and_read(socket),
    messages_buffer_freed(socket),
    messages_buffer_twice(socket),
    messages_buffer_written(socket),
    messages_sent_by_two_threads(socket),
    option_of_another_type(socket),
    option_that_cannot_be_read(socket),
    option_that_is_no_option(socket),
    owned_buffer_not_send(socket),
    owned_buffer_reached_into(socket),
    owned_buffer_read(socket),
    owned_buffer_sent_twice(socket),
    owned_buffer_taken_for_granted(socket),
    owned_buffer_written(socket),
    owned_control_changed(socket),
    owned_messages_freed(socket),
    owned_over_a_slice(socket),
    owned_over_the_stack(socket),
    owned_polled_after_move(socket),
    owned_receive_over_the_stack(socket),
    owned_used_after_wait(socket),
    pool_of_borrowed_bytes(socket),
    pool_of_thread_bound_buffers(socket),
    pooled_buffer_freed(socket),
    pooled_buffer_shared(socket),
    pooled_buffer_touched(socket),
    receive_into_shared(socket),
    receive_into_slice_of_shared(socket),
    retained_bytes_used_after_release(socket),
    retained_released_twice(socket),
    retained_shared(socket),
    scope_kept(socket),
    scope_to_another_thread(socket),
    scoped_buffer_freed(socket),
    scoped_buffer_moved(socket),
    scoped_buffer_replaced(socket),
    scoped_buffer_too_short_lived(socket),
    scoped_buffer_written(socket),
    scoped_bytes_on_the_stack(socket),
    scoped_control_changed(socket),
    scoped_control_dropped(socket),
    scoped_control_read_early(socket),
    scoped_handle_returned(socket),
    scoped_handle_smuggled(socket),
    scoped_handle_to_another_thread(socket),
    scoped_messages_written(socket),
    scoped_receive_into_what_is_sent(socket),
    scoped_receive_read_early(socket),
    scoped_receive_twice_into_one(socket),
    scoped_received_bytes_escape(socket),
    scoped_socket_closed(provider),
    scoped_socket_too_short_lived(provider),
    scoped_waited_twice(socket),
    send_without_address(provider),
    socket_closed_through_a_reference(provider),
    socket_used_after_close(provider),
    socket_used_after_fixing(provider),
    start_send_without_address(provider),
    static_bytes_received_into(socket),
    time_without_a_unit(socket),
    vector_started(socket),
}
