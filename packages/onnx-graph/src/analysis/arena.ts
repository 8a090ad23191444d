/** Where memory for tensors comes from; bytes. */
export interface Allocator {
  /** Returns the address. */
  allocate(bytes: number): number;
  free(address: number): void;
  /** What the process holds, as the system counts it: bytes that were written to and have not been given back. */
  readonly heldBytes: number;
}

/** Sizes are multiples of it. */
const unit = 256;
/** A chunk is handed out whole when less than this would be left of it, unless it is twice as large as asked for. */
const mostWaste = 128 * 2 ** 20;
const firstRegion = 2 ** 20;
/** Regions double up to here; only a single larger tensor makes a larger one. */
const largestStep = 2 ** 30;

interface Chunk {
  readonly address: number;
  size: number;
  isFree: boolean;
  previous: Chunk | null;
  next: Chunk | null;
}

/**
 * ONNX Runtime's arena: the smallest free chunk that fits, split when much would be wasted; neighbours merge when freed;
 * regions are powers of two, each twice as large as the one before. Nothing is given back to the system.
 */
export function createArena(): Allocator {
  const chunks = new Map<number, Chunk>();
  let free: Chunk[] = []; // by size, then by address
  let nextRegion = firstRegion;
  let lowest = 0;
  const written = createRanges();

  function insert(chunk: Chunk): void {
    const at = free.findIndex((c) => c.size > chunk.size || (c.size === chunk.size && c.address > chunk.address));
    free.splice(at < 0 ? free.length : at, 0, chunk);
  }

  function extend(bytes: number): void {
    const isEnough = bytes <= nextRegion;
    while (nextRegion < bytes) nextRegion *= 2;
    // The system maps new regions below older ones.
    lowest -= nextRegion;
    const chunk: Chunk = { address: lowest, size: nextRegion, isFree: true, previous: null, next: null };
    if (isEnough) nextRegion = Math.min(2 * nextRegion, Math.max(nextRegion, largestStep));
    chunks.set(chunk.address, chunk);
    insert(chunk);
  }

  function split(chunk: Chunk, bytes: number): void {
    const { next } = chunk;
    const [address, size] = [chunk.address + bytes, chunk.size - bytes];
    const rest: Chunk = { address, size, isFree: true, previous: chunk, next };
    if (next) next.previous = rest;
    chunk.next = rest;
    chunk.size = bytes;
    chunks.set(address, rest);
    insert(rest);
  }

  /** Takes the chunk behind, which leaves the list of free ones. */
  function absorbNext(chunk: Chunk, next: Chunk): void {
    chunks.delete(next.address);
    chunk.size += next.size;
    chunk.next = next.next;
    if (next.next) next.next.previous = chunk;
  }

  const remove = (chunk: Chunk) => (free = free.filter((c) => c !== chunk));

  return {
    allocate(bytes) {
      const size = Math.max(1, Math.ceil(bytes / unit)) * unit;
      const fits = () => free.findIndex((chunk) => chunk.size >= size);
      if (fits() < 0) extend(size);
      const [chunk] = free.splice(fits(), 1);
      if (!chunk) throw new Error('internal: the arena has no chunk after it grew.');
      if (chunk.size >= 2 * size || chunk.size - size >= mostWaste) split(chunk, size);
      chunk.isFree = false;
      written.add(chunk.address, chunk.address + bytes);
      return chunk.address;
    },
    free(address) {
      const chunk = chunks.get(address);
      if (!chunk) return;
      chunk.isFree = true;
      const { previous, next } = chunk;
      if (next?.isFree) {
        remove(next);
        absorbNext(chunk, next);
      }
      if (previous?.isFree) {
        remove(previous);
        absorbNext(previous, chunk);
      }
      insert(previous?.isFree ? previous : chunk);
    },
    get heldBytes() {
      return written.total;
    },
  };
}

/** Memory that goes back to the system when it is freed. */
export function createHeap(): Allocator {
  const sizes = new Map<number, number>();
  let [last, held] = [0, 0];
  return {
    allocate(bytes) {
      sizes.set(++last, bytes);
      held += bytes;
      return last;
    },
    free(address) {
      held -= sizes.get(address) ?? 0;
      sizes.delete(address);
    },
    get heldBytes() {
      return held;
    },
  };
}

/** The union of intervals. */
function createRanges() {
  let ranges: (readonly [number, number])[] = [];
  let total = 0;
  return {
    add(from: number, to: number): void {
      if (ranges.some(([a, b]) => a <= from && to <= b)) return;
      const touching = ranges.filter(([a, b]) => b >= from && a <= to);
      const start = Math.min(from, ...touching.map(([a]) => a));
      const end = Math.max(to, ...touching.map(([, b]) => b));
      ranges = [...ranges.filter((range) => !touching.includes(range)), [start, end]];
      total = ranges.reduce((sum, [a, b]) => sum + b - a, 0);
    },
    get total() {
      return total;
    },
  };
}
