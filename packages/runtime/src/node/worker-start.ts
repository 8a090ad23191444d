/** What the worker is started with. */
export interface WorkerStart {
  /** File of the ONNX Runtime module. */
  readonly enginePath: string;
  /** Shared Int32Array of two flags, see {@link busyFlag} and {@link exitingFlag}. */
  readonly flags: Int32Array;
}

/** 1 while the worker may be inside ONNX Runtime, where it must not be terminated. */
export const busyFlag = 0;
/** 1 once the process exits: the worker starts nothing any more. */
export const exitingFlag = 1;
