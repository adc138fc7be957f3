//! Balanced trees. Stands for `RtlInsertElementGenericTableAvl` and its kin.
//!
//! As in NT, the links of an element lie in front of it. After each change the tree is rebuilt from its sorted elements, as level
//! as possible. Tests have few elements, so that is fast enough.

use core::ffi::c_void;
use core::ptr;

use wsk_sys::{
    PRTL_AVL_ALLOCATE_ROUTINE, PRTL_AVL_COMPARE_ROUTINE, PRTL_AVL_FREE_ROUTINE, RTL_AVL_TABLE,
    RTL_BALANCED_LINKS, RTL_GENERIC_COMPARE_RESULTS,
};

use crate::bugcheck::{bugcheck, violation};
use crate::pool;

type Links = *mut RTL_BALANCED_LINKS;

/// The element behind these links.
fn element(links: Links) -> *mut c_void {
    links.wrapping_add(1).cast()
}

/// The elements of a tree, sorted.
///
/// # Safety
///
/// `table` is an initialised tree that no other thread touches.
unsafe fn elements(function: &'static str, table: *mut RTL_AVL_TABLE) -> Vec<Links> {
    // SAFETY: the caller says so.
    let (root, count) = unsafe {
        let above = &raw mut (*table).BalancedRoot;
        if (*above).Parent != above {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::UNINITIALIZED_RESOURCE,
                    table as usize,
                    0,
                    0
                ),
                [pool::story(table as usize)],
                "{function} was given something that isn't an initialised RTL_AVL_TABLE (any more)"
            )
        }
        ((*above).RightChild, (*table).NumberGenericTableElements)
    };
    let mut found = Vec::new();
    let (mut at, mut above) = (root, Vec::new());
    while !at.is_null() || !above.is_empty() {
        while !at.is_null() {
            above.push(at);
            if above.len() + found.len() > count as usize {
                break;
            }
            // SAFETY: elements of a tree stay until they are deleted.
            at = unsafe { (*at).LeftChild };
        }
        let Some(next) = above.pop() else { break };
        found.push(next);
        // SAFETY: elements of a tree stay until they are deleted.
        at = unsafe { (*next).RightChild };
        if found.len() > count as usize {
            break;
        }
    }
    if found.len() != count as usize {
        bugcheck!(
            KERNEL_SECURITY_CHECK_FAILURE(3, table as usize, 0, 0),
            [],
            "{function} was given a tree whose links were overwritten: it says {count} elements and has others"
        )
    }
    found
}

/// Builds a tree; returns its root and its depth.
///
/// # Safety
///
/// The elements are the tree's alone.
unsafe fn balance(elements: &[Links], parent: Links) -> (Links, u32) {
    let Some((left, [root, right @ ..])) = elements.split_at_checked(elements.len() / 2) else {
        return (ptr::null_mut(), 0);
    };
    // SAFETY: the caller says so.
    unsafe {
        let (left, left_depth) = balance(left, *root);
        let (right, right_depth) = balance(right, *root);
        root.write(RTL_BALANCED_LINKS {
            Parent: parent,
            LeftChild: left,
            RightChild: right,
            Balance: (right_depth.cast_signed() - left_depth.cast_signed()) as i8,
            Reserved: [0; 3],
        });
        (*root, 1 + left_depth.max(right_depth))
    }
}

/// Rebuilds the tree from its elements.
///
/// # Safety
///
/// `table` is an initialised tree that no other thread touches, and the elements are its own.
unsafe fn rebuild(table: *mut RTL_AVL_TABLE, elements: &[Links]) {
    // SAFETY: the caller says so.
    unsafe {
        let above = &raw mut (*table).BalancedRoot;
        let (root, depth) = balance(elements, above);
        (*above).RightChild = root;
        (*table).DepthOfTree = depth;
        (*table).NumberGenericTableElements = elements.len() as u32;
        (*table).OrderedPointer = ptr::null_mut();
        (*table).WhichOrderedElement = 0;
    }
}

/// The position of an element, or the position to insert it at.
///
/// # Safety
///
/// As for [`elements`]; `sought` is what the tree's routine compares with.
unsafe fn place(
    table: *mut RTL_AVL_TABLE,
    elements: &[Links],
    sought: *mut c_void,
) -> Result<usize, usize> {
    // SAFETY: the caller says so.
    let compare = unsafe { (*table).CompareRoutine };
    let Some(compare) = compare else {
        return Err(0);
    };
    elements.binary_search_by(|links| {
        // SAFETY: the driver's routine with the driver's element and what it seeks.
        match unsafe { compare(table, sought, element(*links)) } {
            RTL_GENERIC_COMPARE_RESULTS::GenericLessThan => core::cmp::Ordering::Greater,
            RTL_GENERIC_COMPARE_RESULTS::GenericGreaterThan => core::cmp::Ordering::Less,
            _ => core::cmp::Ordering::Equal,
        }
    })
}

export! {
    /// Initialises an empty tree.
    fn RtlInitializeGenericTableAvl(
        Table: *mut RTL_AVL_TABLE,
        CompareRoutine: PRTL_AVL_COMPARE_ROUTINE,
        AllocateRoutine: PRTL_AVL_ALLOCATE_ROUTINE,
        FreeRoutine: PRTL_AVL_FREE_ROUTINE,
        TableContext: *mut c_void,
    ), at most DISPATCH_LEVEL {
        // SAFETY: the driver gives the memory.
        unsafe {
            let mut table = RTL_AVL_TABLE::default();
            table.BalancedRoot.Parent = &raw mut (*Table).BalancedRoot;
            table.CompareRoutine = CompareRoutine;
            table.AllocateRoutine = AllocateRoutine;
            table.FreeRoutine = FreeRoutine;
            table.TableContext = TableContext;
            Table.write(table);
        }
    }
}

export! {
    /// Copies an element into a tree, unless there is an equal one.
    fn RtlInsertElementGenericTableAvl(
        Table: *mut RTL_AVL_TABLE,
        Buffer: *mut c_void,
        BufferSize: u32,
        NewElement: *mut u8,
    ) -> *mut c_void, at most DISPATCH_LEVEL {
        let function = "RtlInsertElementGenericTableAvl";
        let tell = |new: bool| {
            if !NewElement.is_null() {
                // SAFETY: the driver gives the place.
                unsafe { NewElement.write(new.into()) };
            }
        };
        // SAFETY: the driver gives its tree, which no other thread touches, and an element of so many bytes.
        unsafe {
            let mut elements = elements(function, Table);
            match place(Table, &elements, Buffer) {
                Ok(found) => {
                    tell(false);
                    element(elements[found])
                }
                Err(at) => {
                    let Some(allocate) = (*Table).AllocateRoutine else {
                        bugcheck!(
                            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, Table as usize, 0, 0),
                            [],
                            "{function} was called for a tree without an AllocateRoutine"
                        )
                    };
                    let links = allocate(Table, BufferSize.saturating_add(size_of::<RTL_BALANCED_LINKS>() as u32));
                    tell(!links.is_null());
                    if links.is_null() {
                        return ptr::null_mut();
                    }
                    let links: Links = links.cast();
                    Buffer
                        .cast::<u8>()
                        .copy_to_nonoverlapping(element(links).cast(), BufferSize as usize);
                    elements.insert(at, links);
                    rebuild(Table, &elements);
                    element(links)
                }
            }
        }
    }
}

export! {
    /// Deletes an element.
    fn RtlDeleteElementGenericTableAvl(Table: *mut RTL_AVL_TABLE, Buffer: *mut c_void) -> u8, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives its tree, which no other thread touches, and what to seek.
        unsafe {
            let mut elements = elements("RtlDeleteElementGenericTableAvl", Table);
            let Ok(found) = place(Table, &elements, Buffer) else {
                return 0;
            };
            let links = elements.remove(found);
            if (*Table).RestartKey == links {
                // The next call of the enumeration continues after the element before.
                (*Table).RestartKey = found.checked_sub(1).map_or(ptr::null_mut(), |before| elements[before]);
            }
            rebuild(Table, &elements);
            (*Table).DeleteCount += 1;
            if let Some(free) = (*Table).FreeRoutine {
                free(Table, links.cast());
            }
            1
        }
    }
}

export! {
    /// Finds an element.
    fn RtlLookupElementGenericTableAvl(Table: *mut RTL_AVL_TABLE, Buffer: *mut c_void) -> *mut c_void, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives its tree, which no other thread touches, and what to seek.
        unsafe {
            let elements = elements("RtlLookupElementGenericTableAvl", Table);
            place(Table, &elements, Buffer).map_or(ptr::null_mut(), |found| element(elements[found]))
        }
    }
}

export! {
    /// Returns the element with a number.
    fn RtlGetElementGenericTableAvl(Table: *mut RTL_AVL_TABLE, I: u32) -> *mut c_void, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives its tree, which no other thread touches.
        let elements = unsafe { elements("RtlGetElementGenericTableAvl", Table) };
        elements
            .get(I as usize)
            .map_or(ptr::null_mut(), |links| element(*links))
    }
}

export! {
    /// Returns one element after the other.
    fn RtlEnumerateGenericTableAvl(Table: *mut RTL_AVL_TABLE, Restart: u8) -> *mut c_void, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives its tree, which no other thread touches.
        unsafe {
            let elements = elements("RtlEnumerateGenericTableAvl", Table);
            let last = (*Table).RestartKey;
            let before = elements.iter().position(|links| *links == last);
            let next = match before {
                Some(before) if Restart == 0 => before + 1,
                _ => 0,
            };
            let next = elements.get(next).copied();
            (*Table).RestartKey = next.unwrap_or((*Table).RestartKey);
            next.map_or(ptr::null_mut(), element)
        }
    }
}

export! {
    /// The number of elements.
    fn RtlNumberGenericTableElementsAvl(Table: *mut RTL_AVL_TABLE) -> u32, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives its tree, which no other thread touches.
        unsafe { elements("RtlNumberGenericTableElementsAvl", Table) }.len() as u32
    }
}

export! {
    /// Whether there are no elements.
    fn RtlIsGenericTableEmptyAvl(Table: *mut RTL_AVL_TABLE) -> u8, at most DISPATCH_LEVEL {
        // SAFETY: the driver gives its tree, which no other thread touches.
        unsafe { elements("RtlIsGenericTableEmptyAvl", Table) }.is_empty().into()
    }
}
