// The Windows for which the code is compiled: NTDDI_VERSION, and the numbers with which it is compared.
// Stands for the kit's sdkddkver.h, up to Windows 11 22H2 (10.0.22621), which is also the default.

#ifndef _INC_SDKDDKVER
#define _INC_SDKDDKVER

/// Windows 2000.
#define NTDDI_WIN2K 0x05000000
/// Windows 2000 with Service Pack 1.
#define NTDDI_WIN2KSP1 0x05000100
/// Windows XP.
#define NTDDI_WINXP 0x05010000
/// Windows XP with Service Pack 2.
#define NTDDI_WINXPSP2 0x05010200
/// Windows Server 2003.
#define NTDDI_WS03 0x05020000
/// Windows Server 2003 with Service Pack 1.
#define NTDDI_WS03SP1 0x05020100
/// Windows Vista, the first with Winsock Kernel, under its version number.
#define NTDDI_WIN6 0x06000000
/// Windows Vista with Service Pack 1, under its version number.
#define NTDDI_WIN6SP1 0x06000100
/// Windows Vista with Service Pack 2, under its version number.
#define NTDDI_WIN6SP2 0x06000200
/// Windows Vista, the first with Winsock Kernel.
#define NTDDI_VISTA NTDDI_WIN6
/// Windows Vista with Service Pack 1.
#define NTDDI_VISTASP1 NTDDI_WIN6SP1
/// Windows Vista with Service Pack 2.
#define NTDDI_VISTASP2 NTDDI_WIN6SP2
/// Windows Vista under its code name.
#define NTDDI_LONGHORN NTDDI_VISTA
/// Windows Server 2008.
#define NTDDI_WS08 NTDDI_WIN6SP1
/// Windows 7 and Windows Server 2008 R2.
#define NTDDI_WIN7 0x06010000
/// Windows 8 and Windows Server 2012.
#define NTDDI_WIN8 0x06020000
/// Windows 8.1 and Windows Server 2012 R2.
#define NTDDI_WINBLUE 0x06030000
/// Windows 10 (1507) under its code name.
#define NTDDI_WINTHRESHOLD 0x0A000000
/// Windows 10 (1507, build 10240).
#define NTDDI_WIN10 0x0A000000
/// Windows 10 1511 (build 10586).
#define NTDDI_WIN10_TH2 0x0A000001
/// Windows 10 1607 and Windows Server 2016 (build 14393).
#define NTDDI_WIN10_RS1 0x0A000002
/// Windows 10 1703 (build 15063).
#define NTDDI_WIN10_RS2 0x0A000003
/// Windows 10 1709 (build 16299).
#define NTDDI_WIN10_RS3 0x0A000004
/// Windows 10 1803 (build 17134).
#define NTDDI_WIN10_RS4 0x0A000005
/// Windows 10 1809 and Windows Server 2019 (build 17763).
#define NTDDI_WIN10_RS5 0x0A000006
/// Windows 10 1903 (build 18362).
#define NTDDI_WIN10_19H1 0x0A000007
/// Windows 10 2004 (build 19041).
#define NTDDI_WIN10_VB 0x0A000008
/// Development release after Windows 10 2004 (build 19645).
#define NTDDI_WIN10_MN 0x0A000009
/// Windows Server 2022 (build 20348).
#define NTDDI_WIN10_FE 0x0A00000A
/// Windows 11 21H2 (build 22000).
#define NTDDI_WIN10_CO 0x0A00000B
/// Windows 11 22H2 (build 22621).
#define NTDDI_WIN10_NI 0x0A00000C
/// Newest Windows that these headers describe.
#define WDK_NTDDI_VERSION NTDDI_WIN10_NI

/// Windows Vista, as a `_WIN32_WINNT` value.
#define _WIN32_WINNT_VISTA 0x0600
/// Windows 7, as a `_WIN32_WINNT` value.
#define _WIN32_WINNT_WIN7 0x0601
/// Windows 8, as a `_WIN32_WINNT` value.
#define _WIN32_WINNT_WIN8 0x0602
/// Windows 8.1, as a `_WIN32_WINNT` value.
#define _WIN32_WINNT_WINBLUE 0x0603
/// Windows 10 and 11, as a `_WIN32_WINNT` value.
#define _WIN32_WINNT_WIN10 0x0A00

/// Bits of an `NTDDI_VERSION` that name the operating system.
#define OSVERSION_MASK 0xFFFF0000
/// Bits of an `NTDDI_VERSION` that name the service pack.
#define SPVERSION_MASK 0x0000FF00
/// Bits of an `NTDDI_VERSION` that name the update.
#define SUBVERSION_MASK 0x000000FF

/// Operating system that an `NTDDI_VERSION` names.
#define OSVER(Version) ((Version) & OSVERSION_MASK)
/// Service pack that an `NTDDI_VERSION` names.
#define SPVER(Version) (((Version) & SPVERSION_MASK) >> 8)
/// Update that an `NTDDI_VERSION` names.
#define SUBVER(Version) ((Version) & SUBVERSION_MASK)

// Pasting needs the number itself, so one macro expands the argument and the next one pastes it.
#define NTDDI_VERSION_FROM_WIN32_WINNT2(Version) Version##0000
/// `NTDDI_VERSION` of the Windows that a `_WIN32_WINNT` value names.
#define NTDDI_VERSION_FROM_WIN32_WINNT(Version) NTDDI_VERSION_FROM_WIN32_WINNT2(Version)

#ifndef NTDDI_VERSION
#ifdef _WIN32_WINNT
#define NTDDI_VERSION NTDDI_VERSION_FROM_WIN32_WINNT(_WIN32_WINNT)
#else
/// Windows that the code is compiled for.
#define NTDDI_VERSION WDK_NTDDI_VERSION
#endif
#endif

#ifndef _WIN32_WINNT
#if NTDDI_VERSION >= NTDDI_WIN10
#define _WIN32_WINNT _WIN32_WINNT_WIN10
#elif NTDDI_VERSION >= NTDDI_WINBLUE
#define _WIN32_WINNT _WIN32_WINNT_WINBLUE
#elif NTDDI_VERSION >= NTDDI_WIN8
#define _WIN32_WINNT _WIN32_WINNT_WIN8
#elif NTDDI_VERSION >= NTDDI_WIN7
#define _WIN32_WINNT _WIN32_WINNT_WIN7
#else
#define _WIN32_WINNT _WIN32_WINNT_VISTA
#endif
#endif

#endif // _INC_SDKDDKVER
