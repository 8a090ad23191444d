import type { DataType, HostTensor } from '@musubi/onnx-graph';

import type { MemoryPlan } from './memory-plan.ts';

/** An engine that owns sessions. Calls of one runtime run one after another, in the order in which they are made. */
export interface Runtime {
  readonly info: RuntimeInfo;
  /** @throws {RuntimeError} (rejects) see the codes of {@link RuntimeError} */
  createSession(request: SessionRequest): Promise<Session>;
  /** Lets calls already made finish, releases all sessions and ends the thread. Later calls are refused. */
  close(): Promise<void>;
}

export interface RuntimeInfo {
  /** `onnxruntime-node`, `onnxruntime-web`, … */
  readonly engine: string;
  readonly version: string;
  /** Where runs block: in a thread of their own, or in the caller's. */
  readonly thread: 'worker' | 'caller';
  /** What sessions run on by default, where the runtime was made for one device. */
  readonly device?: Provider;
  /** Threads of an operator on the CPU, where they are set for the whole runtime. */
  readonly threads?: number;
  /** Whether outputs can stay on the device between runs, see `keepOnDevice`. Default false. */
  readonly keepsOnDevice?: boolean;
  /** What the graphics card offers, where the runtime was made for WebGPU and can ask. */
  readonly webGpu?: WebGpuFeatures;
}

/** What a graphics card offers to WebGPU. */
export interface WebGpuFeatures {
  /** Whether shaders can compute with 16-bit floats. */
  readonly float16: boolean;
  /** Most bytes of a tensor that a shader reads or writes in one part: `maxStorageBufferBindingSize`. */
  readonly maxBindingBytes: number;
  /** Most bytes of a tensor: `maxBufferSize`. */
  readonly maxBufferBytes: number;
}

/** Execution providers by ONNX Runtime's names; operators that one cannot run go to the next. */
export type Provider = 'cpu' | 'cuda' | 'webgpu' | 'dml' | 'coreml' | 'wasm';

export interface SessionRequest {
  /** The bytes of an `.onnx` file. They are copied. */
  readonly model: Uint8Array;
  /** How errors and profiles call this session, default `model`. */
  readonly label?: string;
  /** Default: {@link defaultMemoryPlan}. */
  readonly memory?: MemoryPlan;
  /**
   * How far ONNX Runtime changes the graph, default `basic`: everything above fuses nodes so that results depend on which
   * values are kept, e.g. those of a checkpointed step round otherwise than those of a plain one.
   */
  readonly optimization?: 'basic' | 'extended' | 'all';
  /** Refuse a model of which a node would run on the CPU though `providers` do not name it. */
  readonly onDeviceOnly?: boolean;
  /**
   * Names of outputs that stay where they were computed, for `runOnDevice`. Only where {@link RuntimeInfo.keepsOnDevice}:
   * WebGPU in browsers. The binding for Node.js cannot do it.
   */
  readonly keepOnDevice?: readonly string[];
  /** Default `['cpu']`, in browsers the device of the runtime. */
  readonly providers?: readonly Provider[];
  /** Folder in which the model's external data locations are looked up. Links are followed. Node only. */
  readonly externalDataFolder?: string;
  /** Files of single locations, wherever they lie: `{ 'base.safetensors': '/other/disk/base.safetensors' }`. Node only. */
  readonly externalFiles?: Readonly<Record<string, string>>;
  /**
   * Contents of external data by location, for browsers: in Node, where it must be bytes, this costs twice its size in
   * memory. If given, it must hold all locations of the model.
   */
  readonly externalData?: Readonly<Record<string, ExternalContent>>;
  /** Of several devices of the provider, from 0. CUDA and DirectML only. */
  readonly deviceId?: number;
  /** Writes `<prefix>_<time>.json` with the time of each node at `endProfile` or when the session is released. Node only. */
  readonly profileFilePrefix?: string;
}

/**
 * What a location of external data holds: bytes, a Blob or File, the URL of a file, or a part of one.
 *
 * A Blob is read weight by weight, so it costs no memory beside the loaded model; the file behind a URL is downloaded into
 * a Blob first, which browsers keep on disk when it is large.
 */
export type ExternalContent = Uint8Array | Blob | string | UrlRange;

export interface UrlRange {
  readonly url: string;
  /** First byte and the one behind the last. */
  readonly range: readonly [start: number, end: number];
}

/**
 * An output in the memory of the device. It may be fed to every session of its runtime, as often as is wanted, until it or
 * the session that computed it is released; what lies on the device never crosses unless `read` asks for it.
 */
export interface DeviceTensor {
  readonly dtype: DataType;
  readonly shape: readonly number[];
  /**
   * A copy in host memory.
   *
   * @throws {RuntimeError} (rejects) `TENSOR_RELEASED`
   */
  read(): Promise<HostTensor>;
  /** Frees the memory after the runs already asked for. Calling it again does nothing. */
  release(): Promise<void>;
}

/** What an input takes in `runOnDevice`. */
export type Feed = HostTensor | DeviceTensor;

/** What a run gives, by the names of the outputs. */
export interface DeviceRun {
  readonly outputs: Record<string, HostTensor>;
  /** Those of `keepOnDevice`, which the caller releases. */
  readonly kept: Record<string, DeviceTensor>;
}

/** A loaded model. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /**
   * Runs the model once. The whole graph is computed whichever outputs are named; naming few saves their copies.
   *
   * @param feeds one tensor for each input. They stay the caller's, but must not be changed before the promise settles.
   * @param outputs names of the outputs wanted, default all
   * @returns the outputs by name, in memory of their own; those of `keepOnDevice` are read
   */
  run(feeds: Readonly<Record<string, HostTensor>>, outputs?: readonly string[]): Promise<Record<string, HostTensor>>;
  /**
   * As `run` with all outputs, but those of `keepOnDevice` stay there. After a run that failed a session with such outputs
   * refuses all others, because ONNX Runtime would run it with the feeds of the one that failed.
   */
  runOnDevice(feeds: Readonly<Record<string, Feed>>): Promise<DeviceRun>;
  /**
   * Writes the profile of the runs so far and stops profiling; only for a session with a `profileFilePrefix`. Calling it
   * again does nothing.
   */
  endProfile(): Promise<void>;
  /** Frees the model and what it kept on the device, after the runs already asked for. Calling it again does nothing. */
  release(): Promise<void>;
}
