import { anonymousMemory } from './anonymous-memory.ts';

/** Starts to tell what this program itself takes: call it when ONNX Runtime is loaded, before a model is. */
export function watchProgram(): { bytes(): number } {
  const [before, heapBefore] = [anonymousMemory(), process.memoryUsage().heapTotal];
  return {
    /**
     * With what JavaScript's heap has grown by since: a run makes its graphs in the same way, and garbage is not given back
     * before they are needed no more. The numbers of tensors lie outside that heap.
     */
    bytes: () => before + Math.max(0, process.memoryUsage().heapTotal - heapBefore),
  };
}
