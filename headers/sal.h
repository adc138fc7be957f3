// Source-code annotations (SAL 2): what each parameter, member and function of the Windows headers requires and promises. Stands
// for the kit's sal.h, driverspecs.h and kernelspecs.h. Every macro expands to nothing, unless WSK_SAL_ANNOTATE is defined. Then
// the macros that describe a parameter, a member or an IRQL become clang `annotate` attributes with their own text.

#ifndef WSK_HEADERS_SAL_H
#define WSK_HEADERS_SAL_H

#ifdef WSK_SAL_ANNOTATE
#define WSK_SAL(text) __attribute__((annotate(text)))
#else
#define WSK_SAL(text)
#endif

// Each macro turns its own arguments into text. If it passed them to another macro, they would be expanded first, and
// DISPATCH_LEVEL would become 2.

// Parameters: direction.
#define _In_ WSK_SAL("_In_")
#define _In_opt_ WSK_SAL("_In_opt_")
#define _In_z_ WSK_SAL("_In_z_")
#define _In_opt_z_ WSK_SAL("_In_opt_z_")
#define _Inout_ WSK_SAL("_Inout_")
#define _Inout_opt_ WSK_SAL("_Inout_opt_")
#define _Inout_z_ WSK_SAL("_Inout_z_")
#define _Inout_opt_z_ WSK_SAL("_Inout_opt_z_")
#define _Out_ WSK_SAL("_Out_")
#define _Out_opt_ WSK_SAL("_Out_opt_")
#define _Reserved_ WSK_SAL("_Reserved_")
#define _Const_ WSK_SAL("_Const_")
#define _Outref_ WSK_SAL("_Outref_")

// Parameters: a pointer that the callee writes through another pointer.
#define _Outptr_ WSK_SAL("_Outptr_")
#define _Outptr_opt_ WSK_SAL("_Outptr_opt_")
#define _Outptr_result_maybenull_ WSK_SAL("_Outptr_result_maybenull_")
#define _Outptr_opt_result_maybenull_ WSK_SAL("_Outptr_opt_result_maybenull_")
#define _Outptr_result_nullonfailure_ WSK_SAL("_Outptr_result_nullonfailure_")
#define _Outptr_result_z_ WSK_SAL("_Outptr_result_z_")
#define _Outptr_result_buffer_(...) WSK_SAL("_Outptr_result_buffer_(" #__VA_ARGS__ ")")
#define _Outptr_result_bytebuffer_(...) WSK_SAL("_Outptr_result_bytebuffer_(" #__VA_ARGS__ ")")
#define _Outptr_result_bytebuffer_maybenull_(...) WSK_SAL("_Outptr_result_bytebuffer_maybenull_(" #__VA_ARGS__ ")")

// Parameters: counted buffers that are read.
#define _In_reads_(...) WSK_SAL("_In_reads_(" #__VA_ARGS__ ")")
#define _In_reads_opt_(...) WSK_SAL("_In_reads_opt_(" #__VA_ARGS__ ")")
#define _In_reads_z_(...) WSK_SAL("_In_reads_z_(" #__VA_ARGS__ ")")
#define _In_reads_or_z_(...) WSK_SAL("_In_reads_or_z_(" #__VA_ARGS__ ")")
#define _In_reads_bytes_(...) WSK_SAL("_In_reads_bytes_(" #__VA_ARGS__ ")")
#define _In_reads_bytes_opt_(...) WSK_SAL("_In_reads_bytes_opt_(" #__VA_ARGS__ ")")
#define _In_range_(...) WSK_SAL("_In_range_(" #__VA_ARGS__ ")")

// Parameters: counted buffers that are written.
#define _Out_writes_(...) WSK_SAL("_Out_writes_(" #__VA_ARGS__ ")")
#define _Out_writes_opt_(...) WSK_SAL("_Out_writes_opt_(" #__VA_ARGS__ ")")
#define _Out_writes_z_(...) WSK_SAL("_Out_writes_z_(" #__VA_ARGS__ ")")
#define _Out_writes_to_(...) WSK_SAL("_Out_writes_to_(" #__VA_ARGS__ ")")
#define _Out_writes_to_opt_(...) WSK_SAL("_Out_writes_to_opt_(" #__VA_ARGS__ ")")
#define _Out_writes_all_(...) WSK_SAL("_Out_writes_all_(" #__VA_ARGS__ ")")
#define _Out_writes_bytes_(...) WSK_SAL("_Out_writes_bytes_(" #__VA_ARGS__ ")")
#define _Out_writes_bytes_opt_(...) WSK_SAL("_Out_writes_bytes_opt_(" #__VA_ARGS__ ")")
#define _Out_writes_bytes_to_(...) WSK_SAL("_Out_writes_bytes_to_(" #__VA_ARGS__ ")")
#define _Out_writes_bytes_to_opt_(...) WSK_SAL("_Out_writes_bytes_to_opt_(" #__VA_ARGS__ ")")
#define _Out_writes_bytes_all_(...) WSK_SAL("_Out_writes_bytes_all_(" #__VA_ARGS__ ")")
#define _Out_range_(...) WSK_SAL("_Out_range_(" #__VA_ARGS__ ")")
#define _Deref_out_range_(...) WSK_SAL("_Deref_out_range_(" #__VA_ARGS__ ")")

// Parameters: counted buffers that are read and written.
#define _Inout_updates_(...) WSK_SAL("_Inout_updates_(" #__VA_ARGS__ ")")
#define _Inout_updates_opt_(...) WSK_SAL("_Inout_updates_opt_(" #__VA_ARGS__ ")")
#define _Inout_updates_z_(...) WSK_SAL("_Inout_updates_z_(" #__VA_ARGS__ ")")
#define _Inout_updates_to_(...) WSK_SAL("_Inout_updates_to_(" #__VA_ARGS__ ")")
#define _Inout_updates_all_(...) WSK_SAL("_Inout_updates_all_(" #__VA_ARGS__ ")")
#define _Inout_updates_bytes_(...) WSK_SAL("_Inout_updates_bytes_(" #__VA_ARGS__ ")")
#define _Inout_updates_bytes_opt_(...) WSK_SAL("_Inout_updates_bytes_opt_(" #__VA_ARGS__ ")")
#define _Inout_updates_bytes_to_(...) WSK_SAL("_Inout_updates_bytes_to_(" #__VA_ARGS__ ")")
#define _Inout_updates_bytes_to_opt_(...) WSK_SAL("_Inout_updates_bytes_to_opt_(" #__VA_ARGS__ ")")

// Parameters: memory taken over or given back.
#define _Frees_ptr_ WSK_SAL("_Frees_ptr_")
#define _Frees_ptr_opt_ WSK_SAL("_Frees_ptr_opt_")
#define _Pre_notnull_ WSK_SAL("_Pre_notnull_")
#define _Pre_maybenull_ WSK_SAL("_Pre_maybenull_")
#define _Pre_null_ WSK_SAL("_Pre_null_")
#define _Pre_valid_ WSK_SAL("_Pre_valid_")
#define _Pre_opt_valid_ WSK_SAL("_Pre_opt_valid_")
#define _Post_invalid_ WSK_SAL("_Post_invalid_")
#define _Post_ptr_invalid_ WSK_SAL("_Post_ptr_invalid_")
#define __drv_aliasesMem WSK_SAL("__drv_aliasesMem")
#define __drv_freesMem(...) WSK_SAL("__drv_freesMem(" #__VA_ARGS__ ")")

// Members: the bounds of the memory to which they point.
#define _Field_size_(...) WSK_SAL("_Field_size_(" #__VA_ARGS__ ")")
#define _Field_size_opt_(...) WSK_SAL("_Field_size_opt_(" #__VA_ARGS__ ")")
#define _Field_size_bytes_(...) WSK_SAL("_Field_size_bytes_(" #__VA_ARGS__ ")")
#define _Field_size_bytes_opt_(...) WSK_SAL("_Field_size_bytes_opt_(" #__VA_ARGS__ ")")
#define _Field_size_part_(...) WSK_SAL("_Field_size_part_(" #__VA_ARGS__ ")")
#define _Field_size_bytes_part_(...) WSK_SAL("_Field_size_bytes_part_(" #__VA_ARGS__ ")")
#define _Field_size_bytes_part_opt_(...) WSK_SAL("_Field_size_bytes_part_opt_(" #__VA_ARGS__ ")")
#define _Field_size_full_(...) WSK_SAL("_Field_size_full_(" #__VA_ARGS__ ")")
#define _Field_size_bytes_full_(...) WSK_SAL("_Field_size_bytes_full_(" #__VA_ARGS__ ")")
#define _Field_z_ WSK_SAL("_Field_z_")
#define _Field_range_(...) WSK_SAL("_Field_range_(" #__VA_ARGS__ ")")

// Functions and callback types: at which IRQL they may be called.
#define _IRQL_requires_(...) WSK_SAL("_IRQL_requires_(" #__VA_ARGS__ ")")
#define _IRQL_requires_max_(...) WSK_SAL("_IRQL_requires_max_(" #__VA_ARGS__ ")")
#define _IRQL_requires_min_(...) WSK_SAL("_IRQL_requires_min_(" #__VA_ARGS__ ")")
#define _IRQL_requires_same_ WSK_SAL("_IRQL_requires_same_")
#define _IRQL_raises_(...) WSK_SAL("_IRQL_raises_(" #__VA_ARGS__ ")")
#define _IRQL_saves_ WSK_SAL("_IRQL_saves_")
#define _IRQL_restores_ WSK_SAL("_IRQL_restores_")
#define _IRQL_uses_cancel_ WSK_SAL("_IRQL_uses_cancel_")
#define _IRQL_saves_global_(...) WSK_SAL("_IRQL_saves_global_(" #__VA_ARGS__ ")")
#define _IRQL_restores_global_(...) WSK_SAL("_IRQL_restores_global_(" #__VA_ARGS__ ")")
#define _IRQL_always_function_min_(...) WSK_SAL("_IRQL_always_function_min_(" #__VA_ARGS__ ")")
#define _IRQL_always_function_max_(...) WSK_SAL("_IRQL_always_function_max_(" #__VA_ARGS__ ")")

// The rest is for Microsoft's own analyser. Nothing here reads it, and much of it is where attributes are not allowed.
#define _When_(...)
#define _At_(...)
#define _At_buffer_(...)
#define _Group_(...)
#define _Always_(...)
#define _On_failure_(...)
#define _Success_(...)
#define _Return_type_success_(...)
#define _Must_inspect_result_
#define _Check_return_
#define _Use_decl_annotations_
#define _Function_class_(...)
#define _In_function_class_(...)
#define _Called_from_function_class_(...)
#define _Maybe_raises_SEH_exception_
#define _Raises_SEH_exception_
#define _Pre_
#define _Pre_unknown_
#define _Pre_readable_size_(...)
#define _Pre_writable_size_(...)
#define _Pre_writable_byte_size_(...)
#define _Pre_readable_byte_size_(...)
#define _Pre_satisfies_(...)
#define _Pre_equal_to_(...)
#define _Post_
#define _Post_valid_
#define _Post_notnull_
#define _Post_maybenull_
#define _Post_null_
#define _Post_z_
#define _Post_equal_to_(...)
#define _Post_satisfies_(...)
#define _Post_same_lock_(...)
#define _Post_writable_size_(...)
#define _Post_writable_byte_size_(...)
#define _Post_readable_size_(...)
#define _Post_readable_byte_size_(...)
#define _Ret_
#define _Ret_notnull_
#define _Ret_maybenull_
#define _Ret_null_
#define _Ret_valid_
#define _Ret_z_
#define _Ret_maybenull_z_
#define _Ret_range_(...)
#define _Ret_writes_(...)
#define _Ret_writes_maybenull_(...)
#define _Ret_writes_bytes_(...)
#define _Ret_writes_bytes_maybenull_(...)
#define _Null_terminated_
#define _NullNull_terminated_
#define _Notnull_
#define _Maybenull_
#define _Valid_
#define _Notvalid_
#define _Literal_
#define _Notliteral_
#define _Points_to_data_
#define _Strict_type_match_
#define _Enum_is_bitflag_
#define _Struct_size_bytes_(...)
#define _Readable_bytes_(...)
#define _Readable_elements_(...)
#define _Writable_bytes_(...)
#define _Writable_elements_(...)
#define _Unchanged_(...)
#define _Result_nullonfailure_
#define _Printf_format_string_
#define _Interlocked_operand_
#define _Analysis_assume_(...)
#define _Analysis_noreturn_
#define _Analysis_mode_(...)
#define __analysis_assume(...)
#define _Requires_lock_held_(...)
#define _Requires_lock_not_held_(...)
#define _Requires_shared_lock_held_(...)
#define _Requires_exclusive_lock_held_(...)
#define _Requires_no_locks_held_
#define _Acquires_lock_(...)
#define _Acquires_exclusive_lock_(...)
#define _Acquires_shared_lock_(...)
#define _Releases_lock_(...)
#define _Releases_exclusive_lock_(...)
#define _Releases_shared_lock_(...)
#define _Acquires_nonreentrant_lock_(...)
#define _Releases_nonreentrant_lock_(...)
#define _Has_lock_kind_(...)
#define _Has_lock_level_(...)
#define _Guarded_by_(...)
#define _Interlocked_
#define _Dispatch_type_(...)
#define _Kernel_clear_do_init_(...)
#define _Kernel_float_saved_
#define _Kernel_float_restored_
#define _Kernel_acquires_resource_(...)
#define _Kernel_releases_resource_(...)
#define _Kernel_requires_resource_held_(...)
#define _Kernel_requires_resource_not_held_(...)
#define __drv_allocatesMem(...)
#define __drv_when(...)
#define __drv_at(...)
#define __drv_in(...)
#define __drv_out(...)
#define __drv_maxIRQL(...)
#define __drv_minIRQL(...)
#define __drv_requiresIRQL(...)
#define __drv_sameIRQL
#define __drv_setsIRQL(...)
#define __drv_raisesIRQL(...)
#define __drv_savesIRQL
#define __drv_restoresIRQL
#define __drv_mustHold(...)
#define __drv_acquiresCriticalRegion
#define __drv_releasesCriticalRegion
#define __drv_functionClass(...)
#define __drv_dispatchType(...)
#define __drv_clearDoInit(...)
#define __drv_preferredFunction(...)
#define __drv_reportError(...)
#define __drv_strictType(...)
#define __drv_strictTypeMatch(...)
#define __drv_typeConst
#define __drv_typeCond
#define __drv_typeBitset
#define __drv_typeExpr
#define __drv_arg(...)
#define __drv_defined(...)
#define __drv_Mode_impl(...)
#define __drv_inTry
#define __drv_notInTry
#define __drv_constant
#define __drv_nonConstant

#endif // WSK_HEADERS_SAL_H
