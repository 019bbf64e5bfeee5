import Tensors
print(version())
