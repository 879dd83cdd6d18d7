/* Leads the target constructs of this translation unit, and of no other, to OpenMP-Q.
 *
 * For `#pragma omp target` the compiler calls its offload runtime by name: gcc GOMP_target_ext, clang
 * __tgt_target_kernel. The assembler is told here that in this file the name means a function of libopenmpq.so, which
 * runs quantum regions and hands every other one on. What other files and libraries of the program call is untouched.
 *
 * Included by openmpq.h and openmpq.hpp. To do without, define OPENMPQ_NO_REDIRECT and use libopenmpq_preload.so
 * (LD_PRELOAD, or linked before the OpenMP runtime): needed with gcc -flto, which loses the assembler's alias.
 */
#ifndef OPENMPQ_REDIRECT_H
#define OPENMPQ_REDIRECT_H

#if !defined(OPENMPQ_NO_REDIRECT) && defined(_OPENMP) && defined(__ELF__)

#define OPENMPQ_MEANS(name, ours) __asm__(".set " #name ", " #ours)

#if defined(__clang__)
OPENMPQ_MEANS(__tgt_target_kernel, openmpq___tgt_target_kernel);
OPENMPQ_MEANS(__tgt_target_kernel_nowait, openmpq___tgt_target_kernel_nowait);
OPENMPQ_MEANS(__tgt_target_data_begin_mapper, openmpq___tgt_target_data_begin_mapper);
OPENMPQ_MEANS(__tgt_target_data_begin_nowait_mapper, openmpq___tgt_target_data_begin_mapper_nowait);
OPENMPQ_MEANS(__tgt_target_data_end_mapper, openmpq___tgt_target_data_end_mapper);
OPENMPQ_MEANS(__tgt_target_data_end_nowait_mapper, openmpq___tgt_target_data_end_mapper_nowait);
OPENMPQ_MEANS(__tgt_target_data_update_mapper, openmpq___tgt_target_data_update_mapper);
OPENMPQ_MEANS(__tgt_target_data_update_nowait_mapper, openmpq___tgt_target_data_update_mapper_nowait);
OPENMPQ_MEANS(__tgt_register_requires, openmpq___tgt_register_requires);
#elif defined(__GNUC__)
OPENMPQ_MEANS(GOMP_target_ext, openmpq_GOMP_target_ext);
OPENMPQ_MEANS(GOMP_target_data_ext, openmpq_GOMP_target_data_ext);
OPENMPQ_MEANS(GOMP_target_update_ext, openmpq_GOMP_target_update_ext);
OPENMPQ_MEANS(GOMP_target_enter_exit_data, openmpq_GOMP_target_enter_exit_data);
#endif

/* The memory functions for a QPU's device number are the host's. */
OPENMPQ_MEANS(omp_target_alloc, openmpq_omp_target_alloc);
OPENMPQ_MEANS(omp_target_free, openmpq_omp_target_free);
OPENMPQ_MEANS(omp_target_is_present, openmpq_omp_target_is_present);
OPENMPQ_MEANS(omp_target_memcpy, openmpq_omp_target_memcpy);

/* Define it (and set OPENMPQ_APPEND_DEVICES=1) where the QPUs should follow the real devices in the device list. */
#if defined(OPENMPQ_APPEND_DEVICES)
OPENMPQ_MEANS(omp_get_num_devices, openmpq_omp_get_num_devices);
OPENMPQ_MEANS(omp_get_initial_device, openmpq_omp_get_initial_device);
#endif

#undef OPENMPQ_MEANS

#endif

#endif
