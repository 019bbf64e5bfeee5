// SPDX-License-Identifier: Apache-2.0

import Audit
import Runs
import Testing

@Suite struct AuditDefaultsTests {
  @Test func momentumComesWithPlainDescentAlone() throws {
    let pictures = AuditDefaults.configuration(exampleShape: [3, 32, 32], count: 10_000)
    #expect((pictures.model, pictures.optimizer) == ("resnet20", "sgd"))
    #expect((pictures.lr, pictures.momentum, pictures.epochs) == (0.05, 0.9, 40))
    let robust = AuditDefaults.configuration(exampleShape: [3, 32, 32], count: 10_000, optimizer: "m3")
    #expect((robust.lr, robust.momentum) == (0.2, 0))
    let grey = AuditDefaults.configuration(exampleShape: [1, 28, 28], count: 10_000)
    #expect((grey.optimizer, grey.momentum) == ("m3", 0))
    for settings in [pictures, robust, grey] { try settings.validate() }
  }

  @Test func fewAndManyExamples() throws {
    let few = AuditDefaults.configuration(exampleShape: nil, count: 40)
    #expect((few.batchSize, few.epochs, few.imageSize) == (10, 120, 64))
    try few.validate()
    #expect(AuditDefaults.configuration(exampleShape: [3, 32, 32], count: 50_000).epochs == 30)
  }
}
