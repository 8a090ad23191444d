import { type IncomingHttpHeaders, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** What the server answers instead of what it would; `hang` answers nothing. */
export type Fault = { readonly status: number; readonly body?: string } | 'hang';

/** A run as the server knows it. */
export interface StoredRun {
  readonly variables: Record<string, unknown>;
  readonly history: string[];
  summary: string | null;
  exitCode: number | null;
}

/** A local stand-in for wandb's API: it records every request and keeps runs as the real one does. */
export interface WandbServer {
  readonly url: string;
  readonly requests: readonly RecordedRequest[];
  readonly runs: ReadonlyMap<string, StoredRun>;
  /** Decides on a request before it is handled. */
  fault: (request: RecordedRequest) => Fault | null;
  close(): Promise<void>;
}

export const testKey = '0123456789abcdef0123456789abcdef01234567';

export async function startWandbServer(): Promise<WandbServer> {
  const requests: RecordedRequest[] = [];
  const runs = new Map<string, StoredRun>();
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const request = {
        method: incoming.method ?? '',
        path: incoming.url ?? '',
        headers: incoming.headers,
        body: JSON.parse(text) as unknown,
      };
      requests.push(request);
      const fault = started.fault(request);
      if (fault === 'hang') return;
      const { status, body = '' } = fault ?? handle(request, runs);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const started: WandbServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    runs,
    fault: () => null,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return started;
}

const json = (value: unknown) => ({ status: 200, body: JSON.stringify(value) });

function handle({ method, path, headers, body }: RecordedRequest, runs: Map<string, StoredRun>) {
  if (headers.authorization !== `Basic ${Buffer.from(`api:${testKey}`).toString('base64')}`) {
    return { status: 401, body: '{"errors":[{"message":"user is not logged in"}]}' };
  }
  if (method !== 'POST') return { status: 405 };
  if (path === '/graphql') {
    const { query, variables } = body as { query: string; variables: Record<string, unknown> };
    if (!/upsertBucket\(input: \{/.test(query)) return json({ errors: [{ message: 'unknown mutation' }] });
    const entity = variables['entity'] ?? 'someone';
    if (entity === 'nobody') return json({ data: null, errors: [{ message: 'entity nobody not found' }] });
    const { name, project } = variables;
    const key = [entity, project, name].join('/');
    const run = runs.get(key) ?? { variables, history: [], summary: null, exitCode: null };
    runs.set(key, run);
    const place = { name: project, entity: { name: entity } };
    const bucket = { name, historyLineCount: run.history.length, project: place };
    return json({ data: { upsertBucket: { bucket } } });
  }
  const [, key = ''] = /^\/files\/([^/]+\/[^/]+\/[^/]+)\/file_stream$/.exec(path) ?? [];
  const run = runs.get(decodeURIComponent(key));
  if (!run) return { status: 404, body: '{"error":"run not found"}' };
  const { files = {}, complete, exitcode } = body as StreamBody;
  const history = files['wandb-history.jsonl'];
  if (history) {
    if (history.offset > run.history.length) return { status: 400, body: '{"error":"a gap in the history"}' };
    run.history.splice(history.offset, history.content.length, ...history.content);
  }
  run.summary = files['wandb-summary.json']?.content[0] ?? run.summary;
  if (complete) run.exitCode = exitcode ?? null;
  return json({ exitcode: null, limits: {} });
}

interface StreamBody {
  readonly files?: Record<string, { readonly offset: number; readonly content: readonly string[] }>;
  readonly complete?: boolean;
  readonly exitcode?: number;
}
