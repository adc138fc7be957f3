// Status values of the NT kernel: those of Winsock Kernel, and of the requests, waits and names around it.
// Stands for the kit's ntstatus.h. The first byte tells the severity: 0 success, 4 information, 8 warning, C error.

#ifndef _NTSTATUS_
#define _NTSTATUS_

#include <ntdef.h>

// Success and information.

/// The operation succeeded.
#define STATUS_SUCCESS ((NTSTATUS)0x00000000)
/// The wait ended because its first object was signalled.
#define STATUS_WAIT_0 ((NTSTATUS)0x00000000)
/// The wait ended because its second object was signalled.
#define STATUS_WAIT_1 ((NTSTATUS)0x00000001)
/// The wait ended because its third object was signalled.
#define STATUS_WAIT_2 ((NTSTATUS)0x00000002)
/// The wait ended because its fourth object was signalled.
#define STATUS_WAIT_3 ((NTSTATUS)0x00000003)
/// The wait ended because its last possible object was signalled.
#define STATUS_WAIT_63 ((NTSTATUS)0x0000003F)
/// The mutex was left locked by a thread that has ended.
#define STATUS_ABANDONED ((NTSTATUS)0x00000080)
/// A user-mode procedure call ended the wait.
#define STATUS_USER_APC ((NTSTATUS)0x000000C0)
/// The operation was complete already.
#define STATUS_ALREADY_COMPLETE ((NTSTATUS)0x000000FF)
/// An alert ended the wait.
#define STATUS_ALERTED ((NTSTATUS)0x00000101)
/// The time-out passed before the operation ended.
#define STATUS_TIMEOUT ((NTSTATUS)0x00000102)
/// The operation has started and will complete later.
#define STATUS_PENDING ((NTSTATUS)0x00000103)
/// The name leads to another object and must be looked up again.
#define STATUS_REPARSE ((NTSTATUS)0x00000104)
/// More entries are there than were returned.
#define STATUS_MORE_ENTRIES ((NTSTATUS)0x00000105)
/// Some of the privileges that were asked for could not be given.
#define STATUS_NOT_ALL_ASSIGNED ((NTSTATUS)0x00000106)
/// Some of the names could not be translated.
#define STATUS_SOME_NOT_MAPPED ((NTSTATUS)0x00000107)
/// Another opener is being asked to give up its lock.
#define STATUS_OPLOCK_BREAK_IN_PROGRESS ((NTSTATUS)0x00000108)
/// The handle was closed while a change notification was outstanding.
#define STATUS_NOTIFY_CLEANUP ((NTSTATUS)0x0000010B)
/// Too much has changed to list it; enumerate again.
#define STATUS_NOTIFY_ENUM_DIR ((NTSTATUS)0x0000010C)
/// A crash dump was found in the paging file.
#define STATUS_CRASH_DUMP ((NTSTATUS)0x00000116)
/// The event that was waited for has happened.
#define STATUS_EVENT_DONE ((NTSTATUS)0x40000012)
/// The event that is waited for has not happened yet.
#define STATUS_EVENT_PENDING ((NTSTATUS)0x40000013)
/// Another opener must give up its lock first.
#define STATUS_WAIT_FOR_OPLOCK ((NTSTATUS)0x00000367)
/// An object of that name was there already and was opened.
#define STATUS_OBJECT_NAME_EXISTS ((NTSTATUS)0x40000000)
/// The thread was suspended when it ended.
#define STATUS_THREAD_WAS_SUSPENDED ((NTSTATUS)0x40000001)
/// Part of the message has been received.
#define STATUS_RECEIVE_PARTIAL ((NTSTATUS)0x4000000F)
/// Expedited data has been received.
#define STATUS_RECEIVE_EXPEDITED ((NTSTATUS)0x40000010)
/// Part of an expedited message has been received.
#define STATUS_RECEIVE_PARTIAL_EXPEDITED ((NTSTATUS)0x40000011)
/// More data can be written.
#define STATUS_SERIAL_MORE_WRITES ((NTSTATUS)0x40000008)
/// The connection has already been taken down.
#define STATUS_ALREADY_DISCONNECTED ((NTSTATUS)0x80000025)
/// A long jump has been made.
#define STATUS_LONGJUMP ((NTSTATUS)0x80000026)

// Warnings.

/// A guard page was touched.
#define STATUS_GUARD_PAGE_VIOLATION ((NTSTATUS)0x80000001)
/// Data was not aligned as its type asks for.
#define STATUS_DATATYPE_MISALIGNMENT ((NTSTATUS)0x80000002)
/// A breakpoint was reached.
#define STATUS_BREAKPOINT ((NTSTATUS)0x80000003)
/// One instruction has been executed under the debugger.
#define STATUS_SINGLE_STEP ((NTSTATUS)0x80000004)
/// The buffer was too small for all data; the data that fitted was returned.
#define STATUS_BUFFER_OVERFLOW ((NTSTATUS)0x80000005)
/// No further files match.
#define STATUS_NO_MORE_FILES ((NTSTATUS)0x80000006)
/// No further entries are there.
#define STATUS_NO_MORE_ENTRIES ((NTSTATUS)0x8000001A)
/// The printer is out of paper.
#define STATUS_DEVICE_PAPER_EMPTY ((NTSTATUS)0x8000000E)
/// The device is switched off.
#define STATUS_DEVICE_POWERED_OFF ((NTSTATUS)0x8000000F)
/// The device is off line.
#define STATUS_DEVICE_OFF_LINE ((NTSTATUS)0x80000010)
/// The device is busy.
#define STATUS_DEVICE_BUSY ((NTSTATUS)0x80000011)
/// Only part of the request could be carried out.
#define STATUS_PARTIAL_COPY ((NTSTATUS)0x8000000D)

// Errors of the kernel and of I/O requests.

/// The operation failed for a reason that is not stated.
#define STATUS_UNSUCCESSFUL ((NTSTATUS)0xC0000001)
/// The operation is not implemented.
#define STATUS_NOT_IMPLEMENTED ((NTSTATUS)0xC0000002)
/// The kind of information that was asked for is not known.
#define STATUS_INVALID_INFO_CLASS ((NTSTATUS)0xC0000003)
/// The length does not fit the kind of information.
#define STATUS_INFO_LENGTH_MISMATCH ((NTSTATUS)0xC0000004)
/// Memory was used that may not be.
#define STATUS_ACCESS_VIOLATION ((NTSTATUS)0xC0000005)
/// A page could not be read in.
#define STATUS_IN_PAGE_ERROR ((NTSTATUS)0xC0000006)
/// The handle is not valid.
#define STATUS_INVALID_HANDLE ((NTSTATUS)0xC0000008)
/// A parameter is not valid.
#define STATUS_INVALID_PARAMETER ((NTSTATUS)0xC000000D)
/// The device does not exist.
#define STATUS_NO_SUCH_DEVICE ((NTSTATUS)0xC000000E)
/// The file does not exist.
#define STATUS_NO_SUCH_FILE ((NTSTATUS)0xC000000F)
/// The request is not one that the device or object carries out.
#define STATUS_INVALID_DEVICE_REQUEST ((NTSTATUS)0xC0000010)
/// The end of the file or of the data has been reached.
#define STATUS_END_OF_FILE ((NTSTATUS)0xC0000011)
/// Memory is used up.
#define STATUS_NO_MEMORY ((NTSTATUS)0xC0000017)
/// The range of addresses is in use.
#define STATUS_CONFLICTING_ADDRESSES ((NTSTATUS)0xC0000018)
/// The requested object is already in use.
#define STATUS_ALREADY_COMMITTED ((NTSTATUS)0xC0000021)
/// The caller may not do this.
#define STATUS_ACCESS_DENIED ((NTSTATUS)0xC0000022)
/// The buffer is too small for anything to be returned.
#define STATUS_BUFFER_TOO_SMALL ((NTSTATUS)0xC0000023)
/// The object is of another type than was asked for.
#define STATUS_OBJECT_TYPE_MISMATCH ((NTSTATUS)0xC0000024)
/// The memory is not committed.
#define STATUS_NOT_COMMITTED ((NTSTATUS)0xC000002D)
/// The parameters are not valid together.
#define STATUS_INVALID_PARAMETER_MIX ((NTSTATUS)0xC0000030)
/// Going on after this exception is not possible.
#define STATUS_NONCONTINUABLE_EXCEPTION ((NTSTATUS)0xC0000025)
/// The name of the object is not well formed.
#define STATUS_OBJECT_NAME_INVALID ((NTSTATUS)0xC0000033)
/// No object has that name.
#define STATUS_OBJECT_NAME_NOT_FOUND ((NTSTATUS)0xC0000034)
/// An object of that name exists already.
#define STATUS_OBJECT_NAME_COLLISION ((NTSTATUS)0xC0000035)
/// The port is no longer connected.
#define STATUS_PORT_DISCONNECTED ((NTSTATUS)0xC0000037)
/// The path of the object is not well formed.
#define STATUS_OBJECT_PATH_INVALID ((NTSTATUS)0xC0000039)
/// The path to the object does not exist.
#define STATUS_OBJECT_PATH_NOT_FOUND ((NTSTATUS)0xC000003A)
/// Data arrived faster than it was taken.
#define STATUS_DATA_OVERRUN ((NTSTATUS)0xC000003C)
/// Data could not be read correctly.
#define STATUS_DATA_ERROR ((NTSTATUS)0xC000003E)
/// The section is too large.
#define STATUS_SECTION_TOO_BIG ((NTSTATUS)0xC0000040)
/// The port refused the connection.
#define STATUS_PORT_CONNECTION_REFUSED ((NTSTATUS)0xC0000041)
/// The handle is not that of a port.
#define STATUS_INVALID_PORT_HANDLE ((NTSTATUS)0xC0000042)
/// The object is in use in a way that does not allow this one.
#define STATUS_SHARING_VIOLATION ((NTSTATUS)0xC0000043)
/// The quota is used up.
#define STATUS_QUOTA_EXCEEDED ((NTSTATUS)0xC0000044)
/// The caller does not hold the mutex.
#define STATUS_MUTANT_NOT_OWNED ((NTSTATUS)0xC0000046)
/// The semaphore would exceed its limit.
#define STATUS_SEMAPHORE_LIMIT_EXCEEDED ((NTSTATUS)0xC0000047)
/// The object is about to be deleted.
#define STATUS_DELETE_PENDING ((NTSTATUS)0xC0000056)
/// The caller lacks the privilege that this needs.
#define STATUS_PRIVILEGE_NOT_HELD ((NTSTATUS)0xC0000061)
/// The file is not a valid image.
#define STATUS_INVALID_IMAGE_FORMAT ((NTSTATUS)0xC000007B)
/// Not enough system resources, most often memory, are left.
#define STATUS_INSUFFICIENT_RESOURCES ((NTSTATUS)0xC000009A)
/// The disk is full.
#define STATUS_DISK_FULL ((NTSTATUS)0xC000007F)
/// The device returned wrong data.
#define STATUS_DEVICE_DATA_ERROR ((NTSTATUS)0xC000009C)
/// The device or service is not ready.
#define STATUS_DEVICE_NOT_READY ((NTSTATUS)0xC00000A3)
/// The device has lost power.
#define STATUS_DEVICE_POWER_FAILURE ((NTSTATUS)0xC000009E)
/// The device is not connected.
#define STATUS_DEVICE_NOT_CONNECTED ((NTSTATUS)0xC000009D)
/// The operation took longer than it may.
#define STATUS_IO_TIMEOUT ((NTSTATUS)0xC00000B5)
/// No further instance is available.
#define STATUS_INSTANCE_NOT_AVAILABLE ((NTSTATUS)0xC00000AB)
/// The pipe is disconnected.
#define STATUS_PIPE_DISCONNECTED ((NTSTATUS)0xC00000B0)
/// The device reported an error.
#define STATUS_IO_DEVICE_ERROR ((NTSTATUS)0xC0000185)
/// The operation is not supported.
#define STATUS_NOT_SUPPORTED ((NTSTATUS)0xC00000BB)
/// The network failed in an unexpected way.
#define STATUS_UNEXPECTED_NETWORK_ERROR ((NTSTATUS)0xC00000C4)
/// The network gave an answer that is not valid.
#define STATUS_INVALID_NETWORK_RESPONSE ((NTSTATUS)0xC00000C3)
/// Something inside the system went wrong.
#define STATUS_INTERNAL_ERROR ((NTSTATUS)0xC00000E5)
/// The link could not be made.
#define STATUS_LINK_FAILED ((NTSTATUS)0xC000013E)
/// The link was not made in time.
#define STATUS_LINK_TIMEOUT ((NTSTATUS)0xC000013F)
/// The connection is not valid.
#define STATUS_INVALID_CONNECTION ((NTSTATUS)0xC0000140)
/// The address is not valid.
#define STATUS_INVALID_ADDRESS ((NTSTATUS)0xC0000141)
/// The caller's buffer is not valid.
#define STATUS_INVALID_USER_BUFFER ((NTSTATUS)0xC00000E8)
/// The operation was cancelled.
#define STATUS_CANCELLED ((NTSTATUS)0xC0000120)
/// The object cannot be deleted.
#define STATUS_CANNOT_DELETE ((NTSTATUS)0xC0000121)
/// The file has been deleted.
#define STATUS_FILE_DELETED ((NTSTATUS)0xC0000123)
/// The file or socket has been closed.
#define STATUS_FILE_CLOSED ((NTSTATUS)0xC0000128)
/// The system closed the file or socket against its owner's will; it can only be closed.
#define STATUS_FILE_FORCED_CLOSED ((NTSTATUS)0xC00000B6)
/// The thread is ending.
#define STATUS_THREAD_IS_TERMINATING ((NTSTATUS)0xC000004B)
/// The process is ending.
#define STATUS_PROCESS_IS_TERMINATING ((NTSTATUS)0xC000010A)
/// The first parameter is not valid.
#define STATUS_INVALID_PARAMETER_1 ((NTSTATUS)0xC00000EF)
/// The second parameter is not valid.
#define STATUS_INVALID_PARAMETER_2 ((NTSTATUS)0xC00000F0)
/// The third parameter is not valid.
#define STATUS_INVALID_PARAMETER_3 ((NTSTATUS)0xC00000F1)
/// The fourth parameter is not valid.
#define STATUS_INVALID_PARAMETER_4 ((NTSTATUS)0xC00000F2)
/// The fifth parameter is not valid.
#define STATUS_INVALID_PARAMETER_5 ((NTSTATUS)0xC00000F3)
/// The sixth parameter is not valid.
#define STATUS_INVALID_PARAMETER_6 ((NTSTATUS)0xC00000F4)
/// The seventh parameter is not valid.
#define STATUS_INVALID_PARAMETER_7 ((NTSTATUS)0xC00000F5)
/// The eighth parameter is not valid.
#define STATUS_INVALID_PARAMETER_8 ((NTSTATUS)0xC00000F6)
/// The ninth parameter is not valid.
#define STATUS_INVALID_PARAMETER_9 ((NTSTATUS)0xC00000F7)
/// The tenth parameter is not valid.
#define STATUS_INVALID_PARAMETER_10 ((NTSTATUS)0xC00000F8)
/// The eleventh parameter is not valid.
#define STATUS_INVALID_PARAMETER_11 ((NTSTATUS)0xC00000F9)
/// The twelfth parameter is not valid.
#define STATUS_INVALID_PARAMETER_12 ((NTSTATUS)0xC00000FA)
/// The mapping is not aligned as it must be.
#define STATUS_MAPPED_ALIGNMENT ((NTSTATUS)0xC0000220)
/// The requested object was not found.
#define STATUS_NOT_FOUND ((NTSTATUS)0xC0000225)
/// The memory is not locked.
#define STATUS_NOT_LOCKED ((NTSTATUS)0xC000002A)
/// The working set is too small to lock the memory.
#define STATUS_WORKING_SET_QUOTA ((NTSTATUS)0xC00000A1)
/// The variant is not valid.
#define STATUS_INVALID_VARIANT ((NTSTATUS)0xC0000232)
/// Nobody handled the exception.
#define STATUS_UNHANDLED_EXCEPTION ((NTSTATUS)0xC0000144)
/// The level is not valid.
#define STATUS_INVALID_LEVEL ((NTSTATUS)0xC0000148)
/// The locks were not taken in a valid order.
#define STATUS_INVALID_LOCK_SEQUENCE ((NTSTATUS)0xC000001E)
/// Nothing listens on the destination port.
#define STATUS_PORT_UNREACHABLE ((NTSTATUS)0xC000023F)
/// The port is set already.
#define STATUS_PORT_ALREADY_SET ((NTSTATUS)0xC0000048)
/// The message is too long for the port.
#define STATUS_PORT_MESSAGE_TOO_LONG ((NTSTATUS)0xC000002F)
/// The device is in a state that does not allow this.
#define STATUS_INVALID_DEVICE_STATE ((NTSTATUS)0xC0000184)
/// The device does not exist.
#define STATUS_DEVICE_DOES_NOT_EXIST ((NTSTATUS)0xC00000C0)
/// The device is attached already.
#define STATUS_DEVICE_ALREADY_ATTACHED ((NTSTATUS)0xC0000038)
/// The device has been removed.
#define STATUS_DEVICE_REMOVED ((NTSTATUS)0xC00002B6)
/// The device is not configured correctly.
#define STATUS_DEVICE_CONFIGURATION_ERROR ((NTSTATUS)0xC0000182)
/// The device needs cleaning.
#define STATUS_DEVICE_REQUIRES_CLEANING ((NTSTATUS)0x80000288)
/// The driver could not be loaded.
#define STATUS_DRIVER_UNABLE_TO_LOAD ((NTSTATUS)0xC000026C)
/// The driver imports a function that the system does not have.
#define STATUS_DRIVER_ENTRYPOINT_NOT_FOUND ((NTSTATUS)0xC0000263)
/// The driver went wrong inside.
#define STATUS_DRIVER_INTERNAL_ERROR ((NTSTATUS)0xC0000183)
/// Too many files are open.
#define STATUS_TOO_MANY_OPENED_FILES ((NTSTATUS)0xC000011F)
/// The network adapter can take no further command.
#define STATUS_TOO_MANY_COMMANDS ((NTSTATUS)0xC00000C1)
/// The table of names is full.
#define STATUS_TOO_MANY_NAMES ((NTSTATUS)0xC00000CD)
/// Too many sessions are open.
#define STATUS_TOO_MANY_SESSIONS ((NTSTATUS)0xC00000CE)
/// Too many nodes are there.
#define STATUS_TOO_MANY_NODES ((NTSTATUS)0xC000020E)
/// The buffer does not have a size that this operation takes.
#define STATUS_INVALID_BUFFER_SIZE ((NTSTATUS)0xC0000206)
/// The volume is not of a known format.
#define STATUS_UNRECOGNIZED_VOLUME ((NTSTATUS)0xC000014F)
/// The medium may have changed.
#define STATUS_VERIFY_REQUIRED ((NTSTATUS)0x80000016)
/// The two sides speak different revisions.
#define STATUS_REVISION_MISMATCH ((NTSTATUS)0xC0000059)
/// The registry is damaged.
#define STATUS_REGISTRY_CORRUPT ((NTSTATUS)0xC000014C)
/// The registry key is about to be deleted.
#define STATUS_KEY_DELETED ((NTSTATUS)0xC000017C)
/// No callback is active.
#define STATUS_NO_CALLBACK_ACTIVE ((NTSTATUS)0xC0000258)
/// The completion routine keeps the request, and completes it later.
#define STATUS_MORE_PROCESSING_REQUIRED ((NTSTATUS)0xC0000016)
/// The operation should be tried again.
#define STATUS_RETRY ((NTSTATUS)0xC000022D)
/// The version of the interface that was asked for is not supported.
#define STATUS_NOINTERFACE ((NTSTATUS)0xC00002B9)
/// The driver has been blocked from loading.
#define STATUS_DRIVER_BLOCKED ((NTSTATUS)0xC000036C)
/// It is registered already.
#define STATUS_ALREADY_REGISTERED ((NTSTATUS)0xC0000718)
/// The version of the structure is not known.
#define STATUS_INVALID_KERNEL_INFO_VERSION ((NTSTATUS)0xC000A004)
/// The request came at the wrong moment.
#define STATUS_REQUEST_OUT_OF_SEQUENCE ((NTSTATUS)0xC000042A)
/// The data was not taken and stays with the transport.
#define STATUS_DATA_NOT_ACCEPTED ((NTSTATUS)0xC000021B)
/// The request was not accepted.
#define STATUS_REQUEST_NOT_ACCEPTED ((NTSTATUS)0xC00000D0)
/// The request was aborted.
#define STATUS_REQUEST_ABORTED ((NTSTATUS)0xC0000240)
/// The request was cancelled.
#define STATUS_REQUEST_CANCELED ((NTSTATUS)0xC0000703)
/// The security label is not valid.
#define STATUS_INVALID_LABEL ((NTSTATUS)0xC0000446)
/// The revision is not known.
#define STATUS_UNKNOWN_REVISION ((NTSTATUS)0xC0000058)
/// None of the names could be translated.
#define STATUS_NONE_MAPPED ((NTSTATUS)0xC0000073)
/// The instruction may not be executed.
#define STATUS_ILLEGAL_INSTRUCTION ((NTSTATUS)0xC000001D)
/// The stack is used up.
#define STATUS_STACK_OVERFLOW ((NTSTATUS)0xC00000FD)
/// The number is too large.
#define STATUS_INTEGER_OVERFLOW ((NTSTATUS)0xC0000095)
/// A number was divided by zero.
#define STATUS_INTEGER_DIVIDE_BY_ZERO ((NTSTATUS)0xC0000094)

// Errors of the network.

/// The network service has not been started.
#define STATUS_REDIRECTOR_NOT_STARTED ((NTSTATUS)0xC00000FB)
/// The network is busy.
#define STATUS_NETWORK_BUSY ((NTSTATUS)0xC00000BF)
/// The network name is no longer available.
#define STATUS_NETWORK_NAME_DELETED ((NTSTATUS)0xC00000C9)
/// The network does not allow this.
#define STATUS_NETWORK_ACCESS_DENIED ((NTSTATUS)0xC00000CA)
/// Other credentials are in use for that server.
#define STATUS_NETWORK_CREDENTIAL_CONFLICT ((NTSTATUS)0xC0000195)
/// The session on the network has expired.
#define STATUS_NETWORK_SESSION_EXPIRED ((NTSTATUS)0xC000035C)
/// A policy forbids opening that over the network.
#define STATUS_NETWORK_OPEN_RESTRICTION ((NTSTATUS)0xC0000201)
/// The network path was not found.
#define STATUS_BAD_NETWORK_PATH ((NTSTATUS)0xC00000BE)
/// The network name was not found.
#define STATUS_BAD_NETWORK_NAME ((NTSTATUS)0xC00000CC)
/// The network adapter of the other side is not compatible.
#define STATUS_BAD_REMOTE_ADAPTER ((NTSTATUS)0xC00000C5)
/// The network adapter failed.
#define STATUS_ADAPTER_HARDWARE_ERROR ((NTSTATUS)0xC00000C2)
/// The other side does not listen.
#define STATUS_REMOTE_NOT_LISTENING ((NTSTATUS)0xC00000BC)
/// The other side has not enough resources.
#define STATUS_REMOTE_RESOURCES ((NTSTATUS)0xC000013D)
/// The other side has disconnected.
#define STATUS_REMOTE_DISCONNECT ((NTSTATUS)0xC000013C)
/// The other side has closed the connection.
#define STATUS_VIRTUAL_CIRCUIT_CLOSED ((NTSTATUS)0xC00000D6)
/// The network of the destination cannot be reached.
#define STATUS_NETWORK_UNREACHABLE ((NTSTATUS)0xC000023C)
/// The destination cannot be reached.
#define STATUS_HOST_UNREACHABLE ((NTSTATUS)0xC000023D)
/// The destination does not speak the protocol.
#define STATUS_PROTOCOL_UNREACHABLE ((NTSTATUS)0xC000023E)
/// The protocol is not supported.
#define STATUS_PROTOCOL_NOT_SUPPORTED ((NTSTATUS)0xC000A013)
/// The destination is down.
#define STATUS_HOST_DOWN ((NTSTATUS)0xC0000350)
/// Part of the address is not valid.
#define STATUS_INVALID_ADDRESS_COMPONENT ((NTSTATUS)0xC0000207)
/// The address may not be a wildcard.
#define STATUS_INVALID_ADDRESS_WILDCARD ((NTSTATUS)0xC0000208)
/// No further address can be given out, or every port is in use.
#define STATUS_TOO_MANY_ADDRESSES ((NTSTATUS)0xC0000209)
/// The address is in use already.
#define STATUS_ADDRESS_ALREADY_EXISTS ((NTSTATUS)0xC000020A)
/// The address has been closed.
#define STATUS_ADDRESS_CLOSED ((NTSTATUS)0xC000020B)
/// The connection has an address already.
#define STATUS_ADDRESS_ALREADY_ASSOCIATED ((NTSTATUS)0xC0000238)
/// The connection has no address.
#define STATUS_ADDRESS_NOT_ASSOCIATED ((NTSTATUS)0xC0000239)
/// The descriptor is not well formed.
#define STATUS_BAD_DESCRIPTOR_FORMAT ((NTSTATUS)0xC00000E7)
/// The connection is in use.
#define STATUS_CONNECTION_IN_USE ((NTSTATUS)0xC0000108)
/// The connection is not there.
#define STATUS_CONNECTION_INVALID ((NTSTATUS)0xC000023A)
/// The connection is active already.
#define STATUS_CONNECTION_ACTIVE ((NTSTATUS)0xC000023B)
/// The other side refused the connection.
#define STATUS_CONNECTION_REFUSED ((NTSTATUS)0xC0000236)
/// The other side has reset the connection.
#define STATUS_CONNECTION_RESET ((NTSTATUS)0xC000020D)
/// The connection has been taken down.
#define STATUS_CONNECTION_DISCONNECTED ((NTSTATUS)0xC000020C)
/// This side has aborted the connection.
#define STATUS_CONNECTION_ABORTED ((NTSTATUS)0xC0000241)
/// Too many connections are open.
#define STATUS_CONNECTION_COUNT_LIMIT ((NTSTATUS)0xC0000246)
/// The other side has ended the connection in an orderly way.
#define STATUS_GRACEFUL_DISCONNECT ((NTSTATUS)0xC0000237)
/// This side has taken the connection down.
#define STATUS_LOCAL_DISCONNECT ((NTSTATUS)0xC000013B)
/// The transport can take no further connection.
#define STATUS_TRANSPORT_FULL ((NTSTATUS)0xC00002CA)
/// No entry matches.
#define STATUS_NO_MATCH ((NTSTATUS)0xC0000272)
/// The name is too long.
#define STATUS_NAME_TOO_LONG ((NTSTATUS)0xC0000106)
/// A message was lost.
#define STATUS_MESSAGE_LOST ((NTSTATUS)0xC0000701)
/// The packet passed as many routers as it may.
#define STATUS_HOPLIMIT_EXCEEDED ((NTSTATUS)0xC000A012)
/// The operation would have to wait, which the caller does not allow.
#define STATUS_CANT_WAIT ((NTSTATUS)0xC00000D8)
/// Such an operation is under way already.
#define STATUS_OPERATION_IN_PROGRESS ((NTSTATUS)0xC0000476)
/// The object cannot change to that state.
#define STATUS_INVALID_STATE_TRANSITION ((NTSTATUS)0xC000A003)
/// The lock was not granted.
#define STATUS_LOCK_NOT_GRANTED ((NTSTATUS)0xC0000055)
/// Data came too late.
#define STATUS_DATA_LATE_ERROR ((NTSTATUS)0xC000003D)
/// The data could not be encrypted.
#define STATUS_ENCRYPTION_FAILED ((NTSTATUS)0xC000028A)
/// The data could not be decrypted.
#define STATUS_DECRYPTION_FAILED ((NTSTATUS)0xC000028B)
/// The signature is not valid.
#define STATUS_INVALID_SIGNATURE ((NTSTATUS)0xC000A000)
/// It is too late for the operation.
#define STATUS_TOO_LATE ((NTSTATUS)0xC0000189)
/// The server is disabled.
#define STATUS_SERVER_DISABLED ((NTSTATUS)0xC0000080)
/// The system is shutting down.
#define STATUS_SYSTEM_SHUTDOWN ((NTSTATUS)0xC00002EB)

// Address and routing errors of the Windows Filtering Platform and of TCP/IP.

/// The callout does not exist.
#define STATUS_FWP_CALLOUT_NOT_FOUND ((NTSTATUS)0xC0220001)
/// The TCP/IP stack is not ready to be filtered.
#define STATUS_FWP_TCPIP_NOT_READY ((NTSTATUS)0xC0220100)
/// The injection handle is being closed.
#define STATUS_FWP_INJECT_HANDLE_CLOSING ((NTSTATUS)0xC0220101)
/// The request cannot be kept pending.
#define STATUS_FWP_CANNOT_PEND ((NTSTATUS)0xC0220103)
/// The packet is to be dropped without an answer.
#define STATUS_FWP_DROP_NOICMP ((NTSTATUS)0xC0220104)
/// The network adapter is not ready.
#define STATUS_NDIS_ADAPTER_NOT_READY ((NTSTATUS)0xC0230011)

#endif // _NTSTATUS_
