import { WandbError } from './errors.ts';
import type { WandbRun } from './run.ts';

/** Where a run's numbers are sent, as wandb answered. */
export interface WandbPlace {
  readonly entity: string;
  readonly project: string;
  readonly id: string;
  /** Rows that wandb has of this run already. */
  readonly rows: number;
}

/** Numbers of a run, and how it ended. */
export interface WandbStream {
  /** Rows as JSON texts. */
  readonly rows?: readonly string[];
  /** Number of rows sent before these. */
  readonly offset?: number;
  /** The last values, as JSON text. */
  readonly summary?: string;
  /** Ends the run. */
  readonly exitCode?: number;
}

export interface WandbClient {
  /** Makes the run, or finds the one with this id. */
  upsertRun(run: WandbRun): Promise<WandbPlace>;
  stream(place: WandbPlace, stream: WandbStream): Promise<void>;
  /** Address of the run's page. */
  pageOf(place: WandbPlace): string;
}

export interface WandbClientOptions {
  readonly apiKey: string;
  /** Default `https://api.wandb.ai`. */
  readonly baseUrl?: string | undefined;
  readonly fetch?: typeof globalThis.fetch;
  /** Longest wait for one answer, default 20 000. */
  readonly timeoutMs?: number;
  /** Ends all waiting. */
  readonly signal?: AbortSignal;
}

const publicAddress = 'https://api.wandb.ai';

/**
 * The part of wandb's API that a training run needs: one GraphQL mutation that makes the run, and the stream of its history.
 * Requests carry the key as the password of the user `api`; messages never show it.
 *
 * @throws {WandbError} `WANDB_KEY` for a key that cannot stand in a request; its functions `WANDB_UNREACHABLE`, `WANDB_KEY`,
 *   `WANDB_REFUSED`, `WANDB_ANSWER`
 */
export function createWandbClient(options: WandbClientOptions): WandbClient {
  const { apiKey, baseUrl = publicAddress, fetch = globalThis.fetch, timeoutMs = 20_000, signal } = options;
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new WandbError('WANDB_KEY', 'The key for wandb is empty, or holds spaces or letters that no key has.');
  }
  const base = baseUrl.replace(/\/+$/, '');
  const authorization = `Basic ${btoa(`api:${apiKey}`)}`;

  async function post(path: string, body: unknown): Promise<unknown> {
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${base}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization, 'user-agent': 'musubi' },
        body: JSON.stringify(body),
        signal: signal ? AbortSignal.any([timeout, signal]) : timeout,
      });
      text = await response.text();
    } catch (cause) {
      const reason = timeout.aborted ? `no answer in ${timeoutMs / 1000} s` : reasonOf(cause);
      throw new WandbError('WANDB_UNREACHABLE', `${base} cannot be reached: ${reason}.`, { isTemporary: true, cause });
    }
    if (!response.ok) throw refusal(base, response.status, text);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new WandbError('WANDB_ANSWER', `${base} answered something other than JSON.`, { cause });
    }
  }

  return {
    async upsertRun(run) {
      const answer = await post('/graphql', {
        query: upsertBucket,
        operationName: 'UpsertBucket',
        variables: {
          name: run.id,
          project: run.project,
          entity: run.entity,
          displayName: run.name,
          groupName: run.group,
          jobType: run.jobType,
          notes: run.notes,
          tags: run.tags,
          host: run.host,
          config: JSON.stringify(
            Object.fromEntries(Object.entries(run.config).map(([key, value]) => [key, { value, desc: null }])),
          ),
        },
      });
      return placeOf(base, run, answer);
    },
    async stream(place, { rows = [], offset = 0, summary, exitCode }) {
      const files = {
        ...(rows.length > 0 ? { 'wandb-history.jsonl': { offset, content: rows } } : {}),
        ...(summary === undefined ? {} : { 'wandb-summary.json': { offset: 0, content: [summary] } }),
      };
      const path = ['files', place.entity, place.project, place.id, 'file_stream'].map(encodeURIComponent).join('/');
      await post(`/${path}`, {
        ...(Object.keys(files).length > 0 ? { files } : {}),
        ...(exitCode === undefined ? {} : { complete: true, exitcode: exitCode }),
      });
    },
    pageOf({ entity, project, id }) {
      const site = base === publicAddress ? 'https://wandb.ai' : base;
      return `${site}/${[entity, project].map(encodeURIComponent).join('/')}/runs/${encodeURIComponent(id)}`;
    },
  };
}

const upsertBucket = `mutation UpsertBucket(
  $name: String, $project: String, $entity: String, $displayName: String, $groupName: String, $jobType: String,
  $notes: String, $tags: [String!], $host: String, $config: JSONString
) {
  upsertBucket(input: {
    name: $name, modelName: $project, entityName: $entity, displayName: $displayName, groupName: $groupName,
    jobType: $jobType, notes: $notes, tags: $tags, host: $host, config: $config
  }) {
    bucket { name historyLineCount project { name entity { name } } }
  }
}`;

function placeOf(base: string, run: WandbRun, answer: unknown): WandbPlace {
  const { data, errors } = answer as { data?: UpsertAnswer | null; errors?: { message?: unknown }[] };
  if (errors?.length) {
    const reasons = errors.map(({ message }) => String(message)).join('; ');
    throw new WandbError('WANDB_REFUSED', `${base} refused the run: ${reasons}.`);
  }
  const bucket = data?.upsertBucket?.bucket;
  const entity = bucket?.project?.entity?.name;
  const project = bucket?.project?.name;
  if (typeof entity !== 'string' || typeof project !== 'string') {
    throw new WandbError('WANDB_ANSWER', `${base} did not say where the run is.`);
  }
  return { entity, project, id: bucket?.name ?? run.id, rows: bucket?.historyLineCount ?? 0 };
}

interface UpsertAnswer {
  readonly upsertBucket?: {
    readonly bucket?: {
      readonly name?: string;
      readonly historyLineCount?: number | null;
      readonly project?: { readonly name?: string; readonly entity?: { readonly name?: string } };
    } | null;
  } | null;
}

function refusal(base: string, status: number, text: string): WandbError {
  const said = text.trim().slice(0, 200);
  const found = `${base} answered ${status}${said === '' ? '' : `: ${said}`}.`;
  if (status === 401 || status === 403) return new WandbError('WANDB_KEY', found);
  const isTemporary = status === 408 || status === 429 || status >= 500;
  return new WandbError(isTemporary ? 'WANDB_UNREACHABLE' : 'WANDB_REFUSED', found, { isTemporary });
}

/** `fetch failed` says nothing; what it stands for is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return 'code' in cause ? `${String(cause.code)} ${cause.message}`.trim() : cause.message;
}
