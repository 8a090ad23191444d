import { library } from '../../tsup.base.ts';
export default library({ index: 'src/index.ts', graph: 'src/graph.ts', node: 'src/node.ts', worker: 'src/worker.ts' });
