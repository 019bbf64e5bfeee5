// SPDX-License-Identifier: Apache-2.0

import CLibTorch
import Foundation

/// The libtorch underneath: versions, threads, devices.
public enum Runtime {
  /// The libtorch version compiled against, such as "2.11.0".
  public static var compiledVersion: String { String(cString: ct_compiled_version()) }

  /// The version of the libtorch that is loaded; nil when it does not say.
  public static func loadedVersion() throws -> String? { try string("loadedVersion") { ct_loaded_version($0) } }

  /// libtorch's own build description. Loads `libtorch_cuda`, which it describes too.
  public static func loadedDescription() throws -> String {
    try string("loadedDescription") { ct_loaded_description($0) } ?? ""
  }

  /// The folder the loaded libtorch lives in.
  public static func libraryPath() throws -> String { try string("libraryPath") { ct_library_path($0) } ?? "" }

  /// The widest vector instruction set libtorch uses here, such as "AVX512".
  public static func cpuCapability() throws -> String { try string("cpuCapability") { ct_cpu_capability($0) } ?? "" }

  /// The number of threads operations use.
  public static var threadCount: Int { Int(ct_thread_count()) }

  /// Sets the number of threads that operations started from this thread use, and from threads that have not started
  /// any yet.
  ///
  /// - Throws: `TensorError` when the count is below 1 or above 1024.
  public static func setThreadCount(_ count: Int) throws {
    try check(ct_set_thread_count(Int32(clamping: count)), "setThreadCount")
  }

  /// How threads wait for each other between two operations, by the environment that this process was started with:
  /// `OMP_WAIT_POLICY=passive`, `GOMP_SPINCOUNT=1000`, or nil for libgomp's own choice, which is to look for new work for
  /// milliseconds before sleeping: fast on a quiet machine, and many times slower beside other work.
  ///
  /// libgomp reads its environment once, when it is loaded. A program gets a short wait by linking the product
  /// `ThreadPolicy`, or by being started with `GOMP_SPINCOUNT=1000`; setting the variable later has no effect.
  public static var threadWaiting: String? {
    let environment = ProcessInfo.processInfo.environment
    return ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"].lazy.compactMap { name in environment[name].map { "\(name)=\($0)" } }
      .first
  }

  /// The number of usable CUDA devices; 0 without `libtorch_cuda` or a driver.
  ///
  /// Loads `libtorch_cuda`, which takes 0.2 s. libtorch keeps what it first learned of CUDA, and a backward pass on the
  /// CPU may be what asks: a program that computes on both asks for the devices before anything else.
  public static func cudaDeviceCount() throws -> Int {
    var out: Int32 = 0
    try check(ct_cuda_device_count(&out), "cudaDeviceCount")
    return Int(out)
  }

  /// Why there is no usable CUDA device: the library is missing, cannot be loaded (with the loader's words), or finds no
  /// device; nil when there is one.
  public static func cudaProblem() throws -> String? { try string("cudaProblem") { ct_cuda_problem($0) } }

  /// Compiles the package's own kernels for NVIDIA's GPUs, the fused updates and the clipped sums, for an architecture
  /// such as "sm_90": one of each kind. Needs NVRTC (`libnvrtc.so.13` or `.12`, which CUDA's torch brings along) and no
  /// device.
  ///
  /// - Throws: `TensorError` with the compiler's words, or when there is no compiler.
  public static func compileKernels(forArchitecture architecture: String) throws {
    try check(ct_cuda_compile_kernels(architecture), "compileKernels")
  }

  /// Compiles the kernels for a device of this machine, which the first update would do. Where that fails, updates go by
  /// libtorch's own operations: the same results but for rounding, in several passes over memory.
  ///
  /// - Throws: `TensorError` with the reason.
  public static func prepareKernels(forDevice index: Int) throws {
    try check(ct_cuda_prepare_kernels(Int32(clamping: index)), "prepareKernels")
  }

  /// How many times this process has launched one of the package's own kernels on a GPU.
  public static var kernelLaunches: Int { Int(ct_cuda_kernel_launches()) }

  /// Waits until everything queued on a device is done.
  public static func synchronize(_ device: Device) throws {
    try check(ct_cuda_synchronize(device.native), "synchronize")
  }

  /// Keeps freed memory for the next allocation instead of returning it to the system: for processes that train. A
  /// step frees all its activations and the next one asks for as much again; given back in between, every page costs a
  /// fault (a tenth of a ResNet-32 step, a quarter of one that keeps its layers' inputs). Without effect where the C
  /// library has no such setting.
  @discardableResult
  public static func keepFreedMemory() -> Bool { ct_keep_freed_memory() }

  /// Peak resident memory of this process, in bytes.
  public static var peakResidentBytes: Int { Int(ct_peak_resident_bytes()) }

  /// Seconds that this process has had of processors, in all threads: unlike the time on a clock it does not grow while
  /// the process is stopped or waits its turn.
  public static var processorSeconds: Double { ct_processor_seconds() }

  /// Handles that the calling thread made less those it freed, for leak checks: the difference over a synchronous piece
  /// of work is what it left behind, whatever other threads do.
  public static var liveHandles: LiveHandles {
    LiveHandles(
      tensors: Int(ct_live_tensors()), generators: Int(ct_live_generators()), gradientViews: Int(ct_live_sinks()),
      captures: Int(ct_live_slots()), statuses: Int(ct_live_statuses()), hostCopies: Int(ct_live_host_copies()))
  }

  /// Counts of handles; below zero for a thread that frees what others made.
  public struct LiveHandles: Sendable, Equatable {
    /// Tensors, generators, gradient views, factor captures, unread errors and copies on their way to the host.
    public let tensors, generators, gradientViews, captures, statuses, hostCopies: Int
  }

  private static func string(
    _ operation: String, _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> OpaquePointer?
  ) throws -> String? {
    var out: UnsafeMutablePointer<CChar>?
    try check(body(&out), operation)
    defer { ct_string_free(out) }
    return out.map { String(cString: $0) }
  }
}
