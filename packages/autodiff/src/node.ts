export { loadTrainingArtifacts, writeTrainingArtifacts } from './node/artifacts.ts';
