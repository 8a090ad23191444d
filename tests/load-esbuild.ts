// esbuild, which makes worker scripts of sources, works in the folder in which it was loaded: here, in the repository,
// because tests go to folders of their own and remove them.
import 'esbuild';
