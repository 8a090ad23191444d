import { execFile } from 'node:child_process';

/** A card of NVIDIA as its driver tells. Numbers are null where it does not say them, as of a part of a card (MIG). */
export interface NvidiaCard {
  /** In the order of the bus. */
  readonly index: number;
  /** `GPU-` and digits. */
  readonly uuid: string;
  readonly name: string;
  /** Version of the driver. */
  readonly driver: string;
  readonly totalBytes: number | null;
  /** What no program has taken now. */
  readonly freeBytes: number | null;
}

/** What a program prints; null where it is missing or fails. Tests give their own. */
export type RunProgram = (program: string, args: readonly string[]) => Promise<string | null>;

const fields = ['index', 'uuid', 'driver_version', 'memory.total', 'memory.free', 'name'];
const mebibyte = 2 ** 20;

/** The cards of NVIDIA of this machine, by `nvidia-smi`; none where there is no driver. */
export async function listNvidiaCards(run: RunProgram = runProgram): Promise<NvidiaCard[]> {
  const text = await run('nvidia-smi', [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits']);
  return (text ?? '').split('\n').flatMap((line) => {
    const [index = '', uuid = '', driver, total, free, ...name] = line.split(',').map((part) => part.trim());
    if (driver === undefined || !/^\d+$/.test(index)) return [];
    const card = { index: Number(index), uuid, name: name.join(', '), driver };
    return [{ ...card, totalBytes: bytesOf(total), freeBytes: bytesOf(free) }];
  });
}

/** `[N/A]` for what is not known. */
const bytesOf = (mebibytes = ''): number | null => (/^\d+$/.test(mebibytes) ? Number(mebibytes) * mebibyte : null);

const timeoutMs = 20_000;

const runProgram: RunProgram = (program, args) =>
  new Promise((resolve) => {
    execFile(program, args, { timeout: timeoutMs, windowsHide: true }, (error, stdout) =>
      resolve(error ? null : stdout),
    );
  });

/** Memory of a card in bytes. */
export interface CardMemory {
  readonly name: string;
  readonly totalBytes: number;
  /** What no program has taken now; null where that is not known. */
  readonly freeBytes: number | null;
}

export interface CardQuestion {
  readonly run?: RunProgram;
  /** Of the program that will use the card. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * The memory of a card as CUDA numbers them: `CUDA_VISIBLE_DEVICES` leaves cards out and gives the others new numbers.
 *
 * @param deviceId 0 for the first that a program sees
 * @returns null where there is no such card, its driver does not say, or it is not known which it is: CUDA puts the fastest
 *   card first, so where cards differ a number says which only with `CUDA_DEVICE_ORDER=PCI_BUS_ID`
 */
export async function cardMemory(deviceId = 0, question: CardQuestion = {}): Promise<CardMemory | null> {
  const { run = runProgram, environment = process.env } = question;
  const card = cardOf(deviceId, await listNvidiaCards(run), environment);
  if (!card || card.totalBytes === null) return null;
  const { name, totalBytes, freeBytes } = card;
  return { name, totalBytes, freeBytes };
}

function cardOf(
  deviceId: number,
  cards: readonly NvidiaCard[],
  environment: Readonly<Record<string, string | undefined>>,
): NvidiaCard | undefined {
  const hasNumbers = environment['CUDA_DEVICE_ORDER'] === 'PCI_BUS_ID' || new Set(cards.map(kindOf)).size <= 1;
  const visible = environment['CUDA_VISIBLE_DEVICES'];
  const byNumber = (index: number) => (hasNumbers ? cards.find((card) => card.index === index) : undefined);
  if (visible === undefined) return byNumber(deviceId);
  const entries = visible.split(',').map((entry) => entry.trim());
  // CUDA takes what stands before the first entry that names no card.
  const isCard = (entry: string) =>
    /^\d+$/.test(entry) ? Number(entry) < cards.length : entry !== '' && byUuid(entry, cards) !== undefined;
  const unknown = entries.findIndex((entry) => !isCard(entry));
  if (unknown >= 0 && unknown <= deviceId) return undefined;
  const entry = entries[deviceId] ?? '';
  return /^\d+$/.test(entry) ? byNumber(Number(entry)) : byUuid(entry, cards);
}

const kindOf = ({ name, totalBytes }: NvidiaCard): string => `${name} ${totalBytes}`;

/** The beginning of a UUID is enough, if no other card's begins so. */
function byUuid(entry: string, cards: readonly NvidiaCard[]): NvidiaCard | undefined {
  const found = entry === '' ? [] : cards.filter(({ uuid }) => uuid.startsWith(entry));
  return found.length === 1 ? found[0] : undefined;
}
