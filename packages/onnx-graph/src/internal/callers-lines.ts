/** How deep functions of this package call each other at most, with room for the lines of the caller. */
const depth = 50;

/** The part of V8's `Error` that is used where the engine is V8. */
interface V8Error {
  stackTraceLimit?: number;
  captureStackTrace?(target: Error, from: unknown): void;
}

/**
 * Lets the stack of an error begin on the line that called this package. Of the ten lines that V8 prints, all may lie
 * between the check that failed and that line.
 *
 * @param constructor of the error, which is left out too
 */
export function keepCallersLines(error: Error, constructor: unknown): void {
  const v8 = Error as V8Error;
  const limit = v8.stackTraceLimit;
  if (!v8.captureStackTrace || !limit) return;
  v8.stackTraceLimit = Math.max(limit, depth);
  v8.captureStackTrace(error, constructor);
  v8.stackTraceLimit = limit;

  const { stack = '' } = error;
  const firstFrame = /\n {4}at /.exec(stack)?.index ?? stack.length;
  const frames = stack.slice(firstFrame + 1).split('\n');
  const firstOfCaller = frames.findIndex((frame) => !isOwn(frame));
  // In a bundle this package's lines are not told from the caller's: then all stay.
  if (firstOfCaller <= 0) return;
  const callers = frames.slice(firstOfCaller, firstOfCaller + limit);
  error.stack = [stack.slice(0, firstFrame), ...callers].join('\n');
}

/** A line in this package, or in a built-in function that it calls (`Array.from`). Its tests are callers. */
const isOwn = (frame: string): boolean =>
  /[\\/]onnx-graph[\\/](?:dist|src)[\\/](?!.*\.test\.)/.test(frame) || frame.endsWith('(<anonymous>)');
