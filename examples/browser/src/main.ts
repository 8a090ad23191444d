import type { Finding } from '@musubi/trainer/web';

import { type Capability, findCapabilities } from './capabilities.ts';
import { explainError } from './explain-error.ts';
import { createFilesForm } from './files-form.ts';
import { createLossView } from './loss-view.ts';
import { keepForOffline } from './offline.ts';
import { byId, item, valueOf } from './page.ts';
import { type RunFiles, type Settings, runFiles } from './run-files.ts';
import { fetchSample } from './sample.ts';
import type { Device } from './start-runtime.ts';
import { keepScreenOn } from './screen.ts';
import { type RunningTraining, startTraining } from './train-run.ts';

const start = byId('start', HTMLButtonElement);
const stop = byId('stop', HTMLButtonElement);
const progress = byId('progress', HTMLProgressElement);
const lossView = createLossView(byId('curve', SVGElement), byId('curve-text', SVGElement), byId('rows'));

let running: RunningTraining | null = null;

/** Read out by screen readers. */
const announce = (text: string): void => {
  byId('status').textContent = text;
};
const addMessage = (text: string): void => byId('messages').append(item(text));

const files = createFilesForm({ onChange: () => setRunning(running), announce, onError: showError });

function setRunning(run: RunningTraining | null): void {
  running = run;
  start.disabled = run !== null || files.materials() === null;
  stop.disabled = run === null;
}

byId('form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  if (!running) void train();
});
stop.addEventListener('click', () => {
  running?.stop();
  stop.disabled = true;
  announce('Stopping after this step, then saving.');
});

async function train(): Promise<void> {
  const materials = files.materials();
  if (!materials) return;
  clearError();
  clearResults();
  const run = runFiles(materials, settings());
  showSameRun(run);
  announce('Starting: loading ONNX Runtime and the model.');
  byId('numbers').textContent = '';
  progress.value = 0;
  lossView.reset(1);
  const screen = keepScreenOn();
  const told = createTold();
  const training = startTraining(run, device(), {
    onStart(totalSteps) {
      progress.max = totalSteps;
      lossView.reset(totalSteps);
    },
    onStep({ step, totalSteps, loss, averageLoss, microStep }) {
      progress.value = step;
      lossView.add({ batch: microStep, step, loss, average: averageLoss });
      const text = `Step ${step} of ${totalSteps}, loss ${loss.toFixed(4)}, average ${averageLoss.toFixed(4)}`;
      byId('numbers').textContent = `${text}, ${told.secondsPerBatch(microStep)} s a batch`;
      if (!stop.disabled && told.isDue(step / totalSteps)) announce(`${text}.`);
    },
    onSave: addResult,
    onLine: addMessage,
  });
  const hadFocus = document.activeElement === start;
  setRunning(training);
  // a button that cannot be pressed any more has no focus
  if (hadFocus) stop.focus();
  try {
    const { status, steps } = await training.outcome;
    announce(
      status === 'finished'
        ? `Finished after ${steps} steps. The LoRA is below, under Results.`
        : steps > 0
          ? `Stopped after ${steps} steps. The LoRA so far is below, under Results.`
          : 'Stopped before the first step; there is nothing to save.',
    );
  } catch (error) {
    announce('The run ended with an error.');
    showError(error);
  } finally {
    lossView.finish();
    screen.release();
    const isLost = document.activeElement === stop || document.activeElement === document.body;
    setRunning(null);
    if (isLost && byId('error').childElementCount === 0) byId('results-title').focus();
  }
}

function settings(): Settings {
  return {
    task: valueOf('task'),
    rank: valueOf('network_dim'),
    rate: valueOf('learning_rate'),
    steps: valueOf('max_train_steps'),
    batchSize: valueOf('batch_size'),
    resolution: [valueOf('width'), valueOf('height')],
    seed: valueOf('seed'),
    checkpointing: byId('checkpointing', HTMLInputElement).checked,
    base: valueOf('base'),
  };
}

const device = (): Device => (byId('webgpu', HTMLInputElement).checked ? 'webgpu' : 'wasm');

/** When screen readers are told: at each tenth of the run, but not more often than every five seconds. */
function createTold() {
  let [tenth, toldAt] = [0, 0];
  const startedAt = performance.now();
  return {
    isDue(share: number): boolean {
      const now = performance.now();
      if (Math.floor(10 * share) <= tenth || now - toldAt < 5000) return false;
      [tenth, toldAt] = [Math.floor(10 * share), now];
      return true;
    },
    secondsPerBatch: (batches: number) => ((performance.now() - startedAt) / 1000 / batches).toFixed(2),
  };
}

let addresses: string[] = [];

function clearResults(): void {
  for (const address of addresses) URL.revokeObjectURL(address);
  addresses = [];
  byId('results').replaceChildren();
}

function addResult(file: string, bytes: Uint8Array): void {
  const address = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  addresses.push(address);
  const link = document.createElement('a');
  link.href = address;
  link.download = file;
  link.textContent = `Download ${file}`;
  byId('results').append(item(link, ` (${(bytes.byteLength / 1000).toFixed(0)} kB)`));
}

function showSameRun({ command, datasetConfig }: RunFiles): void {
  byId('same-run').hidden = false;
  byId('command').textContent = `npx @musubi/cli ${command.join(' ')}`;
  byId('dataset').textContent = datasetConfig;
}

function showError(error: unknown): void {
  console.error(error);
  const findings = explainError(error);
  byId('error').replaceChildren(...findings.map(paragraph));
  for (const { where } of findings) fieldOf(where.option)?.setAttribute('aria-invalid', 'true');
  byId('error').focus();
}

function paragraph({ code, where, message, remedy }: Finding): HTMLElement {
  const element = document.createElement('p');
  const name = document.createElement('strong');
  name.textContent = `${code}: `;
  element.append(name, message, remedy === null ? '' : ` ${remedy}`);
  const field = fieldOf(where.option);
  if (!field) return element;
  const link = document.createElement('a');
  link.href = `#${field.id}`;
  link.textContent = 'Go to the field';
  link.addEventListener('click', (event) => {
    event.preventDefault();
    field.focus();
  });
  element.append(' ', link);
  return element;
}

/** Fields have the names of the options that they set. */
function fieldOf(option: string | null): HTMLElement | null {
  const field = option === null ? null : document.getElementById(option.replace(/^--/, ''));
  return field instanceof HTMLInputElement ? field : null;
}

function clearError(): void {
  byId('error').replaceChildren();
  for (const field of document.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
}

function showCapabilities(all: readonly Capability[]): void {
  byId('capabilities').replaceChildren(
    ...all.flatMap(({ name, available, text }) => {
      const term = document.createElement('dt');
      term.textContent = `${name}: ${available ? 'yes' : 'no'}`;
      const details = document.createElement('dd');
      details.textContent = text;
      return [term, details];
    }),
  );
}

// a page that is left takes its worker along, and with it what that has on the graphics card
addEventListener('pagehide', () => running?.kill());
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted || !running) return;
  setRunning(null);
  announce('The run ended when this page was left.');
});
addEventListener('beforeunload', (event) => {
  if (running) event.preventDefault();
});

async function begin(): Promise<void> {
  const { webGpu, all } = await findCapabilities();
  showCapabilities(all);
  byId('webgpu', HTMLInputElement).disabled = !webGpu.available;
  byId('webgpu-hint').textContent = webGpu.text;
  byId('wasm-hint').textContent = globalThis.crossOriginIsolated
    ? 'With half of its cores.'
    : 'With one thread, see below.';
  files.useSample(await fetchSample());
  const details = document.createElement('dd');
  details.id = 'offline';
  details.textContent = 'Keeping the page…';
  byId('capabilities').append(details);
  details.textContent = await keepForOffline(webGpu.available);
}

begin().catch(showError);
